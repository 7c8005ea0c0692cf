using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary>One line a request, when it is switched on (ASP §16).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed partial class RequestLogTests(PostgresFixture postgres)
{
    [Fact]
    [Conforms("ASP-41", "ASP-104")]
    public async Task A_request_is_logged_with_agent_protocol_status_and_duration()
    {
        using var lines = new Lines();
        await using var node = await StartAsync(lines, "Information");
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], []);
        lines.Seen.Clear();

        using (var request = new HttpRequestMessage(HttpMethod.Get, "/agents/alice/swarm/health") { Headers = { { "X-Agent-ID", "bob" }, { "X-Swarm-Protocol", "0.1.0" } } })
        {
            (await node.Http.SendAsync(request)).EnsureSuccessStatusCode();
        }

        await node.Http.GetHubAsync("/agents/alice/swarm/info?secret=1");
        await node.Http.GetHubAsync("/hub/v1/agents/x%0Ay");
        using (var request = new HttpRequestMessage(HttpMethod.Get, "/swarm/nowhere"))
        {
            request.Headers.TryAddWithoutValidation("X-Agent-ID", "bob status=200\u00e9");
            await node.Http.SendAsync(request);
        }

        var seen = lines.Seen.ToArray();
        Assert.Equal(
            [
                "GET /agents/alice/swarm/health agent=bob protocol=0.1.0 status=200 N ms",
                "GET /agents/alice/swarm/info agent=unknown protocol=none status=200 N ms",
                "GET /hub/v1/agents/x%0Ay agent=unknown protocol=none status=401 N ms",
                "GET /swarm/nowhere agent=invalid protocol=none status=404 N ms",
            ],
            seen.Select(line => Duration().Replace(line, " N ms")));
    }

    [Fact]
    [Conforms("ASP-104")]
    public async Task Nothing_is_logged_unless_it_is_switched_on()
    {
        using var lines = new Lines();
        await using var node = await StartAsync(lines, null);
        await node.Http.GetHubAsync("/health");
        Assert.Empty(lines.Seen);
    }

    private Task<NodeHost> StartAsync(Lines lines, string? level) => NodeHost.StartAsync(
        postgres,
        settings: level is null ? null : new Dictionary<string, string> { ["Logging:LogLevel:Requests"] = level },
        replace: services => services.AddSingleton<ILoggerProvider>(lines));

    [GeneratedRegex(@" \d+\.\d ms$")]
    private static partial Regex Duration();

    private sealed class Lines : ILoggerProvider
    {
        public ConcurrentQueue<string> Seen { get; } = new();

        public ILogger CreateLogger(string categoryName) => new Logger(categoryName == "Requests" ? Seen : null);

        public void Dispose()
        {
        }

        private sealed class Logger(ConcurrentQueue<string>? seen) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
                seen?.Enqueue(formatter(state, exception));
        }
    }
}
