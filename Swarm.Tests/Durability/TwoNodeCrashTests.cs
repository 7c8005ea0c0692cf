using System.Net;
using Swarm.Api.Tls;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;
using Seed = Swarm.Tests.Doors.Seed;

namespace Swarm.Tests.Durability;

/// <summary>
/// Two whole nodes, each of processes of its own with a Postgres of its own, two agents on each, one swarm. They converse over TLS while one
/// node or the other is killed outright, again and again: nothing is lost or doubled, and each agent reads what another said in its order
/// (design §3, promises 1 to 4).
/// </summary>
[Collection("crashes")]
public sealed class TwoNodeCrashTests(ITestOutputHelper output) : IAsyncLifetime
{
    /// <summary>By each of the four agents, so 1,000 from node to node in each direction.</summary>
    private const int Messages = 500;

    private const int Kills = 4;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);
    private static readonly (string From, string To)[] Pairs = [("alice", "bob"), ("anna", "ben"), ("bob", "alice"), ("ben", "anna")];

    private Place _a = null!;
    private Place _b = null!;
    private int _answered;
    private int _failures;

    public async Task InitializeAsync()
    {
        _a = await Place.StartAsync(null);
        _b = await Place.StartAsync(_a);
    }

    public async Task DisposeAsync()
    {
        output.WriteLine($"{_a.Log}\n{_b.Log}");
        await _b.DisposeAsync();
        await _a.DisposeAsync();
    }

    [Fact]
    public async Task A_conversation_between_two_nodes_survives_kills_of_either()
    {
        var random = new Random(Seed.Take(output));
        var swarm = await FormAsync();
        var talk = Task.WhenAll(Pairs.Select(pair => TalkAsync(pair.From, pair.To, swarm)));

        // At moments of the conversation, not of the clock: each within its own part of it.
        var part = Pairs.Length * Messages / Kills;
        for (var kill = 0; kill < Kills; kill++)
        {
            var moment = (kill * part) + random.Next(part / 2);
            await Eventually.TrueAsync($"{moment} messages are answered", () => talk.IsFaulted || _answered >= moment, Limit);
            var place = random.Next(2) == 0 ? _a : _b;
            output.WriteLine($"Killing {(place == _a ? "alice's and anna's" : "bob's and ben's")} node after {_answered} answers");
            await place.KillAsync();
            await place.StartAgainAsync();
        }

        await talk;
        output.WriteLine($"{_answered} answered, {_failures} tries failed");
        Assert.True(_failures > 0, "No kill met a message that was under way.");
        foreach (var (from, to) in Pairs)
        {
            await Eventually.TrueAsync($"everything of {from} is with {to}", async () => (await ReadAsync(to, from)).Count >= Messages, Limit);
            Assert.Equal(Enumerable.Range(0, Messages).Select(n => $"{from} {n}"), await ReadAsync(to, from));
        }

        foreach (var place in new[] { _a, _b })
        {
            Assert.Equal(0, (await place.Node.Hub.GetHubAsync("/hub/v1/dead-letters")).Ok()["dead_letters"].GetArrayLength());
        }
    }

    private Place PlaceOf(string agent) => agent[0] == 'a' ? _a : _b;

    private async Task<Guid> FormAsync()
    {
        foreach (var (agent, _) in Pairs)
        {
            (await PlaceOf(agent).Node.Hub.PostHubAsync("/hub/v1/agents", new { name = agent })).Ok();
        }

        var swarm = (await _a.Node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "both" })).Ok()["swarm_id"].GetGuid();
        var invite = (await _a.Node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "alice" })).Ok()["invite_token"].GetString();
        foreach (var agent in (string[])["anna", "bob", "ben"])
        {
            (await PlaceOf(agent).Node.Hub.PostHubAsync("/hub/v1/join", new { agent, invite_token = invite })).Ok();
        }

        foreach (var place in new[] { _a, _b })
        {
            await Eventually.TrueAsync(
                "both nodes know all four",
                async () => (await place.Node.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}")).Ok()["members"].GetArrayLength() == Pairs.Length,
                Limit);
        }

        return swarm;
    }

    /// <summary>Says one thing after the other, and repeats each under its key until it is answered.</summary>
    private async Task TalkAsync(string from, string to, Guid swarm)
    {
        using var pause = new PeriodicTimer(RetryAfter);
        for (var n = 0; n < Messages; n++)
        {
            while (!await SayAsync(from, to, swarm, $"{from} {n}"))
            {
                Interlocked.Increment(ref _failures);
                await pause.WaitForNextTickAsync();
            }

            Interlocked.Increment(ref _answered);
        }
    }

    private async Task<bool> SayAsync(string from, string to, Guid swarm, string content)
    {
        try
        {
            var answer = await PlaceOf(from).Node.Hub.PostHubAsync("/hub/v1/messages", new { from, to, swarm_id = swarm, content }, content);
            return answer.Status != HttpStatusCode.ServiceUnavailable && answer.Ok() is not null;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    /// <summary>What an agent has of another in its inbox, in the inbox's order.</summary>
    private async Task<List<string>> ReadAsync(string agent, string from)
    {
        var contents = new List<string>();
        for (var after = 0L; ;)
        {
            var page = (await PlaceOf(agent).Node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/inbox?after={after}&limit=100")).Ok()["messages"];
            if (page.GetArrayLength() == 0)
            {
                return contents;
            }

            after = page[page.GetArrayLength() - 1].GetProperty("seq").GetInt64();
            contents.AddRange(page.EnumerateArray()
                .Where(m => m.GetProperty("sender").GetString() == from && m.GetProperty("content").GetString()!.StartsWith($"{from} ", StringComparison.Ordinal))
                .Select(m => m.GetProperty("content").GetString()!));
        }
    }

    /// <summary>A node and all that it stands on.</summary>
    private sealed class Place : IAsyncDisposable
    {
        private readonly PostgresCluster _postgres;
        private readonly string _folder;
        private ChildProcess? _worker;

        private Place(PostgresCluster postgres, string folder, NodeProcess node) => (_postgres, _folder, Node) = (postgres, folder, node);

        public NodeProcess Node { get; }

        public string Log => $"Api:\n{Node.Log}\nWorker:\n{_worker?.Output}";

        /// <param name="other">A node whose certificate authority this one shares.</param>
        public static async Task<Place> StartAsync(Place? other)
        {
            var postgres = await PostgresCluster.StartNewAsync();
            var folder = Directory.CreateTempSubdirectory("swarm-place-").FullName;
            foreach (var file in other is null ? [] : (string[])[LocalAuthority.CertificateFile, LocalAuthority.KeyFile])
            {
                File.Copy(Path.Combine(other!._folder, file), Path.Combine(folder, file));
            }

            var node = NodeProcess.Create(await postgres.CreateDatabaseAsync(), folder, environment: new Dictionary<string, string?>
            {
                ["Egress__AllowLoopback"] = "true",
                ["Egress__TrustedRoots"] = Path.Combine(folder, LocalAuthority.CertificateFile),
                ["Push__BackoffFirst"] = "00:00:00.2",
                ["Push__BackoffMax"] = "00:00:02",
                ["Push__CallTimeMax"] = "00:00:05",
                ["Push__LeaseTime"] = "00:00:10",
                ["Push__SweepInterval"] = "00:00:01",
            });
            var place = new Place(postgres, folder, node);
            if (other is null)
            {
                new LocalAuthority(folder, TimeProvider.System).IssueServerCertificate().Dispose();
            }

            var (code, text) = await node.RunWorkerAsync("migrate");
            Assert.True(code == 0, text);
            await place.StartNodeAsync();
            return place;
        }

        /// <summary>SIGKILL, to every process.</summary>
        public Task KillAsync() => Task.WhenAll(Node.KillAsync(), _worker!.KillAsync(), _postgres.KillAsync());

        public async Task StartAgainAsync()
        {
            await _postgres.StartAsync();
            await StartNodeAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await (_worker?.DisposeAsync() ?? ValueTask.CompletedTask);
            await Node.DisposeAsync();
            await _postgres.DisposeAsync();
            Directory.Delete(_folder, recursive: true);
        }

        private async Task StartNodeAsync()
        {
            await Node.StartAsync();
            _worker = Node.StartWorker();
        }
    }
}
