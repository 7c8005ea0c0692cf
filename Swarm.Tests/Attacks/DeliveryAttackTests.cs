using System.Net;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.Swarms;

namespace Swarm.Tests.Attacks;

/// <summary>Attacks on what happens behind the answer: slow peers, floods, curious carriers.</summary>
[Collection(AttackCollection.Name)]
public sealed class DeliveryAttackTests(AttackFixture world)
{
    [Fact]
    [Refuses("W-20", "W-12")]
    public async Task A_peer_that_hangs_holds_up_no_answer()
    {
        var far = world.Far;
        await using var worker = await far.WorkAsync();
        var slow = await far.PeerAsync("slow");
        var isHanging = new TaskCompletionSource();
        var hasEnded = new TaskCompletionSource();
        slow.Answer = async (_, _, http) =>
        {
            isHanging.TrySetResult();
            await PeerServer.HangAsync(http);
            hasEnded.TrySetResult();
        };
        (await far.TellAsync("zoe", $$"""{"action":"member_joined","agent_id":"slow","endpoint":"{{slow.Endpoint}}"}""")).Ok();
        await isHanging.Task.WaitAsync(RemoteMaster.Limit);

        // While the fetch of its key hangs, and by the same sender at the same door, everything is answered.
        for (var n = 0; n < 5; n++)
        {
            (await far.TellAsync("zoe", $"message {n}", "zoe")).Ok();
        }

        (await far.TellAsync("zoe", """{"action":"member_kicked","agent_id":"slow"}""")).Ok();
        Assert.False(hasEnded.Task.IsCompleted);
        Assert.Equal(0, await far.Node.ScalarAsync<long>("select count(*) from introductions where name = 'slow'"));
        Assert.DoesNotContain("slow", await far.MembersAsync());
    }

    [Fact]
    [Refuses("W-26")]
    public async Task Spam_of_a_muted_member_makes_no_row_in_the_inbox_and_wakes_nobody()
    {
        (await world.Node.Hub.PostHubAsync("/hub/v1/agents/carol/mute", new { agent_id = "mallory", reason = "spam" })).Ok();
        (await world.Node.Hub.PostHubAsync("/hub/v1/agents/carol/wake", new { action = "webhook", url = "https://hook.example.com/" })).Ok();
        await TableState.UnchangedAsync(
            world.Node.Database,
            async () =>
            {
                for (var n = 0; n < 150; n++)
                {
                    Assert.Equal(HttpStatusCode.OK, (await world.Node.Http.PostMessageAsync("carol", world.Home.Signed("mallory", "carol", $"spam {n}"))).Status);
                }

                return true;
            },
            "deliveries", "mailboxes", "wakes", "lanes", "expansions", "dead_letters");
        (await world.Node.Hub.PostHubAsync("/hub/v1/agents/carol/unmute", new { agent_id = "mallory" })).Ok();
    }

    [Fact]
    [Refuses("W-28")]
    public async Task A_text_lies_in_one_place_and_what_agents_encrypted_passes_as_it_is()
    {
        // Nobody between the agents needs the text, so they may encrypt it; the rest of the node keeps no copy of a text that they did not.
        var cipher = Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(3_000));
        (await world.Node.Http.PostMessageAsync("carol", world.Home.Signed("eve", "carol", cipher))).Ok();
        Assert.Contains(
            (await world.Node.Hub.GetHubAsync("/hub/v1/agents/carol/inbox?limit=100&state=all")).Ok()["messages"].EnumerateArray(),
            m => m.GetProperty("content").GetString() == cipher);
        using (var mallory = world.Node.ClientOf(world.Home.TokenOf("mallory")))
        {
            (await mallory.GetHubAsync("/hub/v1/agents/carol/inbox")).Refused(HttpStatusCode.Forbidden, "forbidden");
        }

        var marker = $"plain-{Guid.NewGuid():N}";
        (await world.Node.Http.PostMessageAsync("carol", world.Home.Signed("eve", "carol", marker))).Ok();
        var hex = Convert.ToHexStringLower(System.Text.Encoding.UTF8.GetBytes(marker));
        var holders = new List<string>();
        foreach (var table in (await TableState.ReadAsync(world.Node.Database)).Keys.Append("audit_entries"))
        {
            if (await world.Node.ScalarAsync<bool>($"select exists (select 1 from {table} t where t::text like '%{marker}%' or t::text like '%{hex}%')"))
            {
                holders.Add(table);
            }
        }

        Assert.Equal(["messages"], holders);
    }

    [Fact]
    [Refuses("W-19")]
    public async Task A_flood_under_a_members_name_spends_nothing_of_its_budget()
    {
        // More than the member itself may send in a minute.
        var forged = MessageWriter.Write(MessageSignature.Sign(world.Stranger, world.Home.Sign("eve", "carol")));
        await TableState.UnchangedAsync(
            world.Node.Database,
            async () =>
            {
                await Parallel.ForEachAsync(Enumerable.Range(0, 2 * AttackFixture.SenderPerMinute), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (_, cancellation) =>
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, "/agents/carol/swarm/message") { Content = new ByteArrayContent(forged) };
                    request.Content.Headers.ContentType = new("application/json");
                    request.Headers.Add("X-Agent-ID", "eve");
                    using var answer = await world.Node.Http.SendAsync(request, cancellation);
                    Assert.Contains((int)answer.StatusCode, new[] { 401, 429 });
                });
                return true;
            });
        Assert.Equal(HttpStatusCode.OK, (await world.Node.Http.PostMessageAsync("carol", world.Home.Signed("eve", "carol", "still heard"))).Status);
    }
}
