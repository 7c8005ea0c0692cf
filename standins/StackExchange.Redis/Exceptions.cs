#pragma warning disable CA1032 // the package has these constructors and no others

namespace StackExchange.Redis;

/// <summary>A failure of Redis or of the way to it.</summary>
public class RedisException : Exception
{
    public RedisException(string message)
        : base(message)
    {
    }

    public RedisException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}

/// <summary>The server answered with an error.</summary>
public sealed class RedisServerException : RedisException
{
    public RedisServerException(string message)
        : base(message)
    {
    }
}

/// <summary>There is no connection, or it broke before the reply came; a command that was sent may have had its effect.</summary>
public sealed class RedisConnectionException : RedisException
{
    public RedisConnectionException(ConnectionFailureType failureType, string message)
        : this(failureType, message, null)
    {
    }

    public RedisConnectionException(ConnectionFailureType failureType, string message, Exception? innerException)
        : this(failureType, message, innerException, CommandStatus.Unknown)
    {
    }

    public RedisConnectionException(ConnectionFailureType failureType, string message, Exception? innerException, CommandStatus commandStatus)
        : base(message, innerException)
    {
        FailureType = failureType;
        CommandStatus = commandStatus;
    }

    public ConnectionFailureType FailureType { get; }

    public CommandStatus CommandStatus { get; }
}

/// <summary>No reply came within the time allowed.</summary>
public sealed class RedisTimeoutException : TimeoutException
{
    public RedisTimeoutException(string message, CommandStatus commandStatus)
        : base(message) => Commandstatus = commandStatus;

    public CommandStatus Commandstatus { get; }
}
