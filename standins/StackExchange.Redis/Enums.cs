namespace StackExchange.Redis;

/// <summary>How a command is to be carried out.</summary>
[Flags]
public enum CommandFlags : int
{
    None = 0,

    /// <summary>The caller wants no reply: the task completes at once with a default value.</summary>
    FireAndForget = 2,
}

/// <summary>Whether a key must exist already for a write to happen.</summary>
public enum When : int
{
    Always = 0,
    Exists = 1,
    NotExists = 2,
}

/// <summary>Whether a key must have an expiry already for a new one to be set.</summary>
public enum ExpireWhen : int
{
    Always = 0,
    GreaterThanCurrentExpiry = 1,
    HasExpiry = 2,
    HasNoExpiry = 3,
    LessThanCurrentExpiry = 4,
}

/// <summary>How far a command had come when it failed.</summary>
public enum CommandStatus : int
{
    Unknown = 0,
    WaitingToBeSent = 1,
    Sent = 2,
    WaitingInBacklog = 3,
}

/// <summary>Which of the two connections to a server.</summary>
public enum ConnectionType : int
{
    None = 0,
    Interactive = 1,
    Subscription = 2,
}

/// <summary>Why a connection ended, or could not be made.</summary>
public enum ConnectionFailureType : int
{
    None = 0,
    UnableToResolvePhysicalConnection = 1,
    SocketFailure = 2,
    AuthenticationFailure = 3,
    ProtocolFailure = 4,
    InternalFailure = 5,
    SocketClosed = 6,
    ConnectionDisposed = 7,
    Loading = 8,
    UnableToConnect = 9,
}

/// <summary>The kind of a reply.</summary>
public enum ResultType : byte
{
    None = 0,
    SimpleString = 1,
    Error = 2,
    Integer = 3,
    BulkString = 4,
    Array = 5,
}
