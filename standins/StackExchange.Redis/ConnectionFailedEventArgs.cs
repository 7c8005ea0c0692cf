using System.Net;

namespace StackExchange.Redis;

/// <summary>A connection that failed, or came back.</summary>
public class ConnectionFailedEventArgs : EventArgs
{
    public ConnectionFailedEventArgs(
        object sender,
        EndPoint endPoint,
        ConnectionType connectionType,
        ConnectionFailureType failureType,
        Exception exception,
        string physicalName)
        : this(endPoint, connectionType, failureType, exception)
    {
    }

    internal ConnectionFailedEventArgs(EndPoint? endPoint, ConnectionType connectionType, ConnectionFailureType failureType, Exception? exception)
    {
        EndPoint = endPoint;
        ConnectionType = connectionType;
        FailureType = failureType;
        Exception = exception;
    }

    public EndPoint? EndPoint { get; }

    public ConnectionType ConnectionType { get; }

    public ConnectionFailureType FailureType { get; }

    public Exception? Exception { get; }
}
