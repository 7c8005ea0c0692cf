namespace Swarm.Tests.Infrastructure;

/// <summary>
/// One Redis for the whole test run: a private one, or the one that the environment variable SWARM_TEST_REDIS names.
/// </summary>
public sealed class RedisFixture : IAsyncLifetime
{
    private string? _server;

    /// <summary>False on a machine without Redis.</summary>
    public bool IsAvailable => _server is not null;

    /// <summary>In the form <c>host:port,password=…</c>.</summary>
    public string ConnectionString => _server ?? throw new InvalidOperationException("This machine has no Redis: install redis-server, or set SWARM_TEST_REDIS.");

    public async Task InitializeAsync() =>
        _server = Environment.GetEnvironmentVariable("SWARM_TEST_REDIS") is { Length: > 0 } given ? given : await PrivateServers.RedisAsync();

    /// <summary>The server is shared, and ends with the test run.</summary>
    public Task DisposeAsync() => Task.CompletedTask;
}
