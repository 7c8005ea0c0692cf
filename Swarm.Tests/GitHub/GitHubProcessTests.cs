using System.Text.Json;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.GitHub;

/// <summary>The GitHub monitor as an operator runs it: settings in the environment of a real Worker, which is killed and comes back.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class GitHubProcessTests(PostgresFixture postgres) : IAsyncLifetime
{
    private const string Repo = "octo/spoon";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private GitHubServer _hub = null!;
    private NodeProcess _node = null!;

    public async Task InitializeAsync()
    {
        _hub = await GitHubServer.StartAsync();
        _node = await NodeProcess.StartNewAsync(await postgres.CreateMigratedDatabaseAsync());
    }

    public async Task DisposeAsync()
    {
        await _node.DisposeAsync();
        await _hub.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-101", "ASP-102")]
    public async Task A_worker_tells_what_happens_once_also_after_it_was_killed()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["monitor", "alice"], []);
        foreach (var (name, value) in new (string, string)[]
        {
            ("BaseUrl", _hub.Url), ("Agent", "monitor"), ("SwarmId", scene.Swarm.ToString()), ("Users__Principal__0", "pat"), ("PollInterval", "00:00:10"),
            ("Repositories__0__Name", Repo), ("Repositories__0__Coordinator", "alice"), ("Token", "ghp_secret"),
        })
        {
            _node.Set($"GitHub__{name}", value);
        }

        _node.Set("Egress__AllowLoopback", "true");
        _hub.AddIssue(Repo, 1, "pat", Now.AddDays(-1), "what was before");
        var (code, output) = await _node.RunWorkerAsync("github", "dry-run");
        Assert.True(code == 0, output);

        await using (var worker = _node.StartWorker())
        {
            await PolledAsync(worker);
            _hub.AddIssue(Repo, 2, "pat", Now, "the first");
            await Eventually.TrueAsync($"the first is told:\n{worker.Output}", async () => (await ToldAsync()).SequenceEqual([2]), Limit);
            await worker.KillAsync();
        }

        _hub.AddIssue(Repo, 3, "pat", Now, "while nobody looked");
        await using (var worker = _node.StartWorker())
        {
            await Eventually.TrueAsync($"the second is told:\n{worker.Output}", async () => (await ToldAsync()).SequenceEqual([2, 3]), Limit);
        }
    }

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    /// <summary>Returns when every list has been asked for once more.</summary>
    private Task PolledAsync(ChildProcess worker)
    {
        var before = _hub.Calls.Count;
        return Eventually.TrueAsync($"GitHub is polled:\n{worker.Output}", () => _hub.Calls.Count >= before + 8, Limit);
    }

    private async Task<IReadOnlyList<long>> ToldAsync() =>
    [
        .. (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox?limit=100")).Ok()["messages"].EnumerateArray()
            .Where(m => m.GetProperty("sender").GetString() == "monitor")
            .Select(m => JsonElement.Parse(m.GetProperty("content").GetString()!).GetProperty("event").GetProperty("issue_number").GetInt64()),
    ];
}
