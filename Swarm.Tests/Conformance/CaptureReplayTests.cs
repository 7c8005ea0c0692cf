using System.Text;
using System.Text.Json;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Conformance;

/// <summary>
/// What a recorder saw between three reference agents, sent again byte for byte to nodes of ours that stand in the place of each agent: they hold
/// its public key, its swarm and its clock, and no private key. Signatures and invite are the recorded ones, and are verified.
/// </summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class CaptureReplayTests(PostgresFixture postgres)
{
    /// <summary>Where our answer to a recorded request is another than the recorded one, and why that is so.</summary>
    private static readonly Dictionary<string, string> Differences = new()
    {
        ["to-agent-a-0005"] = "Two of the three ids name notices that the recorded server wrote into its own inbox, under ids of its own: here they are unknown, "
            + "and unknown ids are not counted.",
    };

    [Fact]
    [Conforms("ASP-22", "ASP-26", "ASP-31", "ASP-32", "ASP-37", "ASP-50", "ASP-53", "ASP-58", "ASP-65", "ASP-69", "ASP-105")]
    public async Task What_real_peers_sent_is_answered_as_real_peers_answered()
    {
        var recorded = RecordedSwarm.Read();
        var nodes = new Dictionary<string, TestNode>();
        try
        {
            foreach (var member in recorded.Members)
            {
                nodes[member.Name] = await StartAsync(recorded, member);
            }

            foreach (var capture in recorded.Captures)
            {
                var node = nodes[capture.Agent];
                node.Time.Now = capture.At;
                if (capture.Joiner is { } joiner && (await MembersAsync(node, recorded)).Contains(joiner))
                {
                    // It had left, which no recorder saw.
                    await node.HubAsync(HttpMethod.Post, $"/hub/v1/swarms/{recorded.SwarmId}/kick", new { agent = capture.Agent, target = joiner });
                }

                AssertLike(capture, await RawSocket.ExchangeAsync(node.Address, capture.Request));
            }

            Assert.Equal(["agent-a", "agent-c"], await MembersAsync(nodes["agent-a"], recorded));
            Assert.Equal(["agent-a", "agent-b"], await MembersAsync(nodes["agent-b"], recorded));
            var swarms = await nodes["agent-c"].HubAsync(HttpMethod.Get, "/hub/v1/swarms?agent=agent-c");
            Assert.Equal(0, swarms.GetProperty("swarms").GetArrayLength());
            foreach (var (name, node) in nodes)
            {
                var inbox = (await node.HubAsync(HttpMethod.Get, $"/hub/v1/agents/{name}/inbox?limit=100")).GetProperty("messages").EnumerateArray().ToList();
                Assert.Equal(
                    recorded.Captures.Count(c => c.Agent == name && c.Path == "/swarm/message"), inbox.Count(m => m.GetProperty("verified").GetBoolean()));
            }

            // The key that the announced member shows is fetched by the Worker, as agent-b's second request shows; here it was kicked before.
            await using var waiting = nodes["agent-b"].Database.CreateCommand("select count(*) from introductions");
            Assert.Equal(0L, await waiting.ExecuteScalarAsync());
        }
        finally
        {
            foreach (var node in nodes.Values)
            {
                await node.DisposeAsync();
            }
        }
    }

    [Fact]
    [Conforms("ASP-71")]
    public async Task Unless_it_is_opened_the_recorded_inbox_calls_get_nothing()
    {
        var recorded = RecordedSwarm.Read();
        await using var node = await StartAsync(recorded, recorded.Members[0], localApi: "Protected");
        foreach (var capture in recorded.Captures.Where(c => c.Agent == "agent-a" && c.Path.StartsWith("/api/", StringComparison.Ordinal)))
        {
            var answer = Encoding.Latin1.GetString(await RawSocket.ExchangeAsync(node.Address, capture.Request));
            Assert.StartsWith("HTTP/1.1 401 ", answer, StringComparison.Ordinal);
            Assert.DoesNotContain("messages", answer, StringComparison.Ordinal);
        }
    }

    [Fact]
    [Conforms("ASP-09", "ASP-30", "ASP-43")]
    public async Task The_same_bytes_are_refused_where_they_are_not_true()
    {
        var recorded = RecordedSwarm.Read();
        var (b, c) = (recorded.Members[1], recorded.Members[2]);
        var broadcast = recorded.Captures.Single(x => x.Name == "to-agent-b-0002");
        var toC = recorded.Captures.Single(x => x.Name == "to-agent-c-0006");
        await using var node = await StartAsync(recorded, b);
        node.Time.Now = broadcast.At;

        // One letter of the content, the recipient, the time.
        Assert.Equal(401, await StatusAsync(node, Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(broadcast.Request).Replace("hello everyone", "hello anyone!!"))));
        Assert.Equal(403, await StatusAsync(node, toC.Request));
        node.Time.Now = broadcast.At.AddDays(7).AddSeconds(1);
        Assert.Equal(400, await StatusAsync(node, broadcast.Request));
        node.Time.Now = broadcast.At.AddMinutes(-5).AddSeconds(-1);
        Assert.Equal(400, await StatusAsync(node, broadcast.Request));

        // Who does not hold the swarm.
        await using var other = await StartAsync(recorded, c, isMember: false);
        other.Time.Now = toC.At;
        Assert.Equal(404, await StatusAsync(other, toC.Request));
        node.Time.Now = broadcast.At;
        Assert.Equal(200, await StatusAsync(node, broadcast.Request));
    }

    private static async Task<int> StatusAsync(TestNode node, byte[] request) =>
        int.Parse(Encoding.Latin1.GetString(await RawSocket.ExchangeAsync(node.Address, request)).Split(' ')[1]);

    /// <summary>A node whose default agent is that member: it has its key from the recording, and signs nothing.</summary>
    private async Task<TestNode> StartAsync(
        RecordedSwarm recorded, (string Name, string Endpoint, string PublicKey) member, string localApi = "Open", bool isMember = true)
    {
        var node = await TestNode.StartAsync(
            postgres, recorded.Captures[0].At, listens: true, settings: new Dictionary<string, string> { ["AgentSwarm:LocalApi"] = localApi });
        await node.CreateAgentAsync(new { name = member.Name, kind = "external", endpoint = member.Endpoint, public_key = member.PublicKey, @default = true });
        if (member.Name == "agent-a")
        {
            await node.HubAsync(HttpMethod.Post, "/hub/v1/swarms", new { agent = "agent-a", name = recorded.Name, swarm_id = recorded.SwarmId });
        }
        else if (isMember)
        {
            // What its agent had joined before: the roster as agent-a had answered it.
            var roster = recorded.Members.TakeWhile(m => m.Name != member.Name).Append(member);
            await node.HubAsync(HttpMethod.Post, $"/hub/v1/agents/{member.Name}/import", new
            {
                schema_version = "2.0.0",
                agent_id = member.Name,
                exported_at = recorded.Captures[0].At,
                swarms = new Dictionary<string, object>
                {
                    [recorded.SwarmId] = new
                    {
                        swarm_id = recorded.SwarmId, name = recorded.Name, master = "agent-a", joined_at = recorded.Captures[0].At,
                        members = roster.Select(m => new { agent_id = m.Name, endpoint = m.Endpoint, public_key = m.PublicKey, joined_at = recorded.Captures[0].At }),
                        settings = new { allow_member_invite = false, require_approval = false },
                    },
                },
                muted_swarms = Array.Empty<string>(), muted_agents = Array.Empty<string>(), public_keys = new { }, inbox = Array.Empty<object>(), outbox = Array.Empty<object>(),
            });
        }

        return node;
    }

    private static async Task<string[]> MembersAsync(TestNode node, RecordedSwarm recorded) =>
        [.. (await node.HubAsync(HttpMethod.Get, $"/hub/v1/swarms/{recorded.SwarmId}/members")).GetProperty("members").EnumerateArray()
            .Select(m => m.GetProperty("agent_id").GetString()!)];

    /// <summary>The status, the headers that carry meaning, and the body: its values as well, where no difference is listed.</summary>
    private static void AssertLike(CaptureFile capture, byte[] answer)
    {
        var head = Encoding.Latin1.GetString(answer).Split("\r\n\r\n")[0].Split("\r\n");
        Assert.True(head[0].StartsWith($"HTTP/1.1 {capture.Status} ", StringComparison.Ordinal), $"{capture.Name}: {Encoding.UTF8.GetString(answer)}");
        foreach (var header in new[] { "content-type: application/json", "x-ratelimit-limit: ", "x-ratelimit-remaining: " })
        {
            Assert.Contains(head, line => line.StartsWith(header, StringComparison.OrdinalIgnoreCase));
        }

        var ours = JsonElement.Parse(CaptureFile.BodyOf(answer));
        Assert.Equal(ShapeOf(capture.Json), ShapeOf(ours));
        var isSame = RecordedSwarm.Normalise(capture.Json) == RecordedSwarm.Normalise(ours);
        Assert.True(isSame != Differences.ContainsKey(capture.Name), $"{capture.Name}:\n{capture.Json}\n{ours}");
    }

    /// <summary>Names and kinds of all members, in their order.</summary>
    private static string ShapeOf(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => $"{{{string.Join(',', json.EnumerateObject().Select(m => $"{m.Name}:{ShapeOf(m.Value)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(',', json.EnumerateArray().Select(ShapeOf))}]",
        var kind => kind.ToString(),
    };
}
