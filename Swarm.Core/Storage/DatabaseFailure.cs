using System.Diagnostics;
using System.Reflection;
using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>The one rule for what says that the database cannot be asked: the request may come again, and a loop goes on later.</summary>
public static class DatabaseFailure
{
    private static readonly Assembly Driver = typeof(NpgsqlConnection).Assembly;

    /// <summary>
    /// Whether the exception or a cause of it (EF Core wraps what it thinks might pass) is the database's, or came through its driver: a connection that
    /// breaks at the wrong moment can surface as something else, for example as an <see cref="ObjectDisposedException"/> of its socket.
    /// </summary>
    public static bool Is(Exception? exception) =>
        exception is not (null or OperationCanceledException)
        && (exception is NpgsqlException or TimeoutException or IOException or StorageException || IsThroughDriver(exception) || Is(exception.InnerException));

    private static bool IsThroughDriver(Exception exception) =>
        new StackTrace(exception).GetFrames().Any(f => f.GetMethod()?.DeclaringType?.Assembly == Driver);
}
