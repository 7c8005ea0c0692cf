using System.Net;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>What system messages of a swarm's other members do to the roster of this node, and what they do not (ASP §10.5, §10.6).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class LifecycleEventTests(PostgresFixture postgres) : IAsyncLifetime
{
    private RemoteMaster _scene = null!;

    public async Task InitializeAsync() => _scene = await RemoteMaster.StartAsync(postgres, "zoe", "yan");

    public async Task DisposeAsync() => await _scene.DisposeAsync();

    [Fact]
    [Conforms("ASP-52")]
    public async Task Who_was_announced_is_a_member_once_its_endpoint_has_shown_its_key_also_after_a_restart()
    {
        var carol = await _scene.PeerAsync("carol");
        Assert.Equal(HttpStatusCode.OK, (await _scene.TellAsync("zoe", Joined("carol", carol.Endpoint, "2026-11-20T10:00:00.123Z"))).Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _scene.TellAsync("zoe", carol.Key, "carol", "too early", "zoe")).Status);
        Assert.Empty(carol.Requests);

        // Nobody fetched it yet: a Worker that starts later does.
        await using var worker = await _scene.WorkAsync();
        await EventuallyMembersAsync("master", "zoe", "yan", "carol");
        var asked = Assert.Single(carol.Requests);
        Assert.Equal(("/swarm/info", "zoe", "0.1.0"), (asked.Path, asked.Headers["X-Agent-ID"], asked.Headers["X-Swarm-Protocol"]));
        var member = await _scene.MemberAsync("carol");
        Assert.Equal(
            (carol.PublicKey, carol.Endpoint, "2026-11-20T10:00:00.123Z"),
            (member.GetProperty("public_key").GetString(), member.GetProperty("endpoint").GetString(), member.GetProperty("joined_at").GetString()));
        Assert.Equal(HttpStatusCode.OK, (await _scene.TellAsync("zoe", carol.Key, "carol", "now", "zoe")).Status);
        (await _scene.SendAsync("zoe", "carol", "welcome")).Ok();
        await Eventually.TrueAsync("carol has it", () => carol.Messages.Any(m => m.Content == "welcome"), RemoteMaster.Limit);
        Assert.Equal(0, await _scene.Node.ScalarAsync<long>("select count(*) from introductions"));
    }

    [Fact]
    [Conforms("ASP-30", "ASP-52")]
    public async Task Only_who_is_announced_is_put_off_and_only_while_the_roster_stands()
    {
        var carol = await _scene.PeerAsync("carol");
        var (rosters, introductions) = (_scene.Node.Get<Rosters>(), _scene.Node.Get<Introductions>());
        var before = (await rosters.GetFreshAsync(_scene.Swarm, default))!;
        Assert.Equal(Awaited.No, await introductions.IsAwaitedAsync(before, "carol", default));
        await _scene.TellAsync("zoe", Joined("carol", carol.Endpoint));
        var announced = (await rosters.GetFreshAsync(_scene.Swarm, default))!;
        Assert.Equal(Awaited.Yes, await introductions.IsAwaitedAsync(announced, "carol", default));
        Assert.Equal(Awaited.No, await introductions.IsAwaitedAsync(announced, "dave", default));
        Assert.Equal(Awaited.No, await introductions.IsAwaitedAsync(announced, "\0", default));
        Assert.Equal(Awaited.SwarmChanged, await introductions.IsAwaitedAsync(before, "dave", default));

        // Taken back before anybody asked for its key.
        await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"carol"}""");
        Assert.Equal(HttpStatusCode.Forbidden, (await _scene.TellAsync("zoe", carol.Key, "carol", "too late", "zoe")).Status);
        Assert.Empty(carol.Requests);
    }

    [Theory]
    [Conforms("ASP-64", "ASP-52")]
    [InlineData("other name")]
    [InlineData("no key")]
    [InlineData("short key")]
    [InlineData("redirect")]
    [InlineData("error")]
    [InlineData("no json")]
    [InlineData("endless")]
    [Refuses("W-12")]
    public async Task Who_does_not_show_itself_is_no_member_and_is_asked_again(string fault)
    {
        var carol = await _scene.PeerAsync("carol");
        var honest = carol.Answer;
        carol.Answer = (_, _, http) => fault switch
        {
            "other name" => PeerServer.RespondAsync(http, 200, $$"""{"agent_id":"carla","public_key":"{{carol.PublicKey}}"}"""),
            "no key" => PeerServer.RespondAsync(http, 200, """{"agent_id":"carol","public_key":""}"""),
            "short key" => PeerServer.RespondAsync(http, 200, """{"agent_id":"carol","public_key":"AAAA"}"""),
            "redirect" => RedirectAsync(http, _scene.Master.Endpoint),
            "error" => PeerServer.RespondAsync(http, 500),
            "no json" => PeerServer.RespondAsync(http, 200, "<html>"),
            _ => PeerServer.EndlessAsync(http),
        };
        (await _scene.TellAsync("zoe", Joined("carol", carol.Endpoint))).Ok();
        await using var worker = await _scene.WorkAsync();
        await Eventually.TrueAsync(
            "it was tried", async () => await _scene.Node.ScalarAsync<int>("select coalesce(max(attempts), 0) from introductions") > 0, RemoteMaster.Limit);
        Assert.Equal(["master", "zoe", "yan"], await _scene.MembersAsync());
        Assert.DoesNotContain(_scene.Master.Requests, r => r.Path.EndsWith("/info", StringComparison.Ordinal));

        carol.Answer = honest;
        await EventuallyMembersAsync("master", "zoe", "yan", "carol");
    }

    [Theory]
    [Conforms("ASP-64")]
    [InlineData("https://10.0.0.1/swarm")]
    [InlineData("https://169.254.169.254/swarm")]
    [InlineData("https://[fd00::1]/swarm")]
    [InlineData("https://user:password@localhost/swarm")]
    [Refuses("W-12")]
    public async Task An_address_that_may_not_be_called_is_not_called_and_never_on_the_roster(string endpoint)
    {
        (await _scene.TellAsync("zoe", Joined("carol", endpoint))).Ok();
        await using var worker = await _scene.WorkAsync();
        await Eventually.TrueAsync(
            "it was refused", async () => await _scene.Node.ScalarAsync<int>("select coalesce(max(attempts), 0) from introductions") > 0, RemoteMaster.Limit);
        Assert.Equal(["master", "zoe", "yan"], await _scene.MembersAsync());
    }

    [Fact]
    [Conforms("ASP-64")]
    public async Task An_endpoint_that_is_no_https_URL_has_no_effect()
    {
        foreach (var endpoint in new[] { "http://carol.example.com/swarm", "file:///etc/passwd", "https://a b", "" })
        {
            (await _scene.TellAsync("zoe", Joined("carol", endpoint))).Ok();
        }

        Assert.Equal(0, await _scene.Node.ScalarAsync<long>("select count(*) from introductions"));
    }

    [Fact]
    [Conforms("ASP-53", "ASP-57")]
    public async Task Who_leaves_or_is_kicked_is_off_the_roster_when_the_message_is_answered()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), dave = await _scene.PeerAsync("dave");
        await _scene.AddAsync("zoe", "carol", carol);
        await _scene.AddAsync("zoe", "dave", dave);
        Assert.Equal(["master", "zoe", "yan", "carol", "dave"], await _scene.MembersAsync());

        var left = """{"action":"member_left","agent_id":"carol"}""";
        Assert.Equal("queued", (await _scene.TellAsync("zoe", carol.Key, "carol", left)).Ok()["status"].GetString());
        Assert.Equal(["master", "zoe", "yan", "dave"], await _scene.MembersAsync());
        Assert.Equal(HttpStatusCode.Forbidden, (await _scene.TellAsync("zoe", carol.Key, "carol", "still here?")).Status);

        (await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"dave","reason":"said \"no\""}""")).Ok();
        Assert.Equal(["master", "zoe", "yan"], await _scene.MembersAsync());
        Assert.Equal(HttpStatusCode.Forbidden, (await _scene.TellAsync("zoe", dave.Key, "dave", "still here?")).Status);

        // Both are messages as well.
        Assert.Contains(left, await _scene.InboxAsync("zoe"));
    }

    [Fact]
    [Conforms("ASP-53")]
    [Refuses("W-07")]
    public async Task An_event_that_comes_by_two_doors_acts_once_and_is_in_both_inboxes()
    {
        var carol = await _scene.PeerAsync("carol");
        await _scene.AddAsync("zoe", "carol", carol);
        var kick = _scene.Signed(_scene.Master.Key, "master", """{"action":"member_kicked","agent_id":"carol"}""");
        (await _scene.Node.Http.PostMessageAsync("zoe", kick)).Ok();
        await _scene.AddAsync("zoe", "carol", carol);
        (await _scene.Node.Http.PostMessageAsync("yan", kick)).Ok();
        (await _scene.Node.Http.PostMessageAsync("zoe", kick)).Ok();
        Assert.Contains("carol", await _scene.MembersAsync());
        Assert.Single(await _scene.InboxAsync("yan"), c => c.Contains("member_kicked", StringComparison.Ordinal));
        Assert.Single(await _scene.InboxAsync("zoe"), c => c.Contains("member_kicked", StringComparison.Ordinal));
    }

    [Fact]
    [Conforms("ASP-53", "ASP-58", "ASP-27")]
    public async Task The_other_copies_of_an_event_are_answered_like_the_first_also_after_it_took_the_membership()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), fresh = await _scene.PeerAsync("carol");
        await _scene.AddAsync("zoe", "carol", carol);
        var rotated = _scene.Signed(carol.Key, "carol", $$"""{"action":"key_rotated","agent_id":"carol","public_key":"{{fresh.PublicKey}}"}""");
        var left = _scene.Signed(fresh.Key, "carol", """{"action":"member_left","agent_id":"carol"}""");
        var kicked = _scene.Signed(_scene.Master.Key, "master", """{"action":"kicked","agent_id":"yan"}""", "yan");
        var dissolved = _scene.Signed(_scene.Master.Key, "master", """{"action":"swarm_dissolved","reason":"done"}""");
        foreach (var (message, doors) in new[]
            {
                (rotated, new[] { "zoe", "yan", "zoe" }), (left, ["zoe", "yan", "zoe", "yan"]), (kicked, ["yan", "yan"]), (dissolved, ["zoe", "zoe"]),
            })
        {
            foreach (var door in doors)
            {
                Assert.Equal("queued", (await _scene.Node.Http.PostMessageAsync(door, message)).Ok()["status"].GetString());
            }
        }

        // Once in each inbox; and nothing else of who is gone is let in, not even under the same id.
        Assert.Equal(4, (await _scene.InboxAsync("zoe")).Length);
        Assert.Equal(3, (await _scene.InboxAsync("yan")).Length);
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.Node.Http.PostMessageAsync("yan", dissolved)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.Node.Http.PostMessageAsync("zoe", kicked)).Status);
        var id = JsonElement.Parse(left).GetProperty("message_id").GetGuid();
        Assert.Equal(
            HttpStatusCode.NotFound,
            (await _scene.TellAsync("zoe", fresh.Key, "carol", """{"action":"member_left","agent_id":"carol","more":1}""", id: id)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.TellAsync("zoe", carol.Key, "carol", """{"action":"member_left","agent_id":"carol"}""")).Status);
    }

    [Fact]
    [Conforms("ASP-58")]
    public async Task The_notice_reaches_the_kicked_also_when_another_door_heard_of_it_first()
    {
        var at = TimeProvider.System.GetUtcNow().AddSeconds(-1);
        (await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"yan"}""", at: at)).Ok();
        Assert.Equal(["master", "zoe"], await _scene.MembersAsync());
        var notice = """{"action":"kicked","agent_id":"yan","reason":"x"}""";
        using var mallory = Key.Create(SignatureAlgorithm.Ed25519);
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.TellAsync("yan", notice, "yan", at.AddMilliseconds(1))).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.TellAsync("yan", mallory, "master", notice, "yan", at)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.TellAsync("yan", "come back", "yan", at)).Status);
        (await _scene.TellAsync("yan", notice, "yan", at)).Ok();
        Assert.Equal([notice], await _scene.InboxAsync("yan"));
        Assert.Equal(["master", "zoe"], await _scene.MembersAsync());
    }

    [Fact]
    [Conforms("ASP-57")]
    [Refuses("W-07")]
    public async Task What_was_signed_before_the_newest_event_of_a_member_has_no_effect()
    {
        var carol = await _scene.PeerAsync("carol");
        var now = TimeProvider.System.GetUtcNow();
        await _scene.AddAsync("zoe", "carol", carol, now.AddSeconds(-10));
        var left = """{"action":"member_left","agent_id":"carol"}""";
        (await _scene.TellAsync("zoe", carol.Key, "carol", left, at: now.AddSeconds(-20))).Ok();
        (await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"carol"}""", at: now.AddSeconds(-15))).Ok();
        Assert.Contains("carol", await _scene.MembersAsync());

        (await _scene.TellAsync("zoe", carol.Key, "carol", left, at: now.AddSeconds(-5))).Ok();
        Assert.DoesNotContain("carol", await _scene.MembersAsync());
        await _scene.AddAsync("zoe", "carol", carol, now.AddSeconds(-7));
        Assert.DoesNotContain("carol", await _scene.MembersAsync());

        // A kick that overtook the announcement holds as well, and the two messages of one kick are one event.
        (await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"dave"}""", at: now.AddSeconds(-3))).Ok();
        (await _scene.TellAsync("zoe", Joined("dave", carol.Endpoint), at: now.AddSeconds(-4))).Ok();
        Assert.Equal(0, await _scene.Node.ScalarAsync<long>("select count(*) from introductions"));
        var kicked = now.AddSeconds(-2);
        (await _scene.TellAsync("yan", """{"action":"kicked","agent_id":"yan"}""", "yan", kicked)).Ok();
        (await _scene.JoinAsync("yan")).Ok();
        (await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"yan"}""", at: kicked)).Ok();
        Assert.Contains("yan", await _scene.MembersAsync());
    }

    [Fact]
    [Conforms("ASP-57")]
    [Refuses("W-02")]
    public async Task What_a_sender_has_no_right_to_is_an_ordinary_message()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), dave = await _scene.PeerAsync("dave"), fake = await _scene.PeerAsync("fake");
        await _scene.AddAsync("zoe", "carol", carol);
        await _scene.AddAsync("zoe", "dave", dave);
        var before = await _scene.RosterAsync();
        var claims = new (Key Key, string Sender, string Content, string To)[]
        {
            (carol.Key, "carol", """{"action":"member_kicked","agent_id":"dave"}""", "broadcast"),
            (carol.Key, "carol", """{"action":"member_left","agent_id":"dave"}""", "broadcast"),
            (carol.Key, "carol", """{"action":"member_left","agent_id":"master"}""", "broadcast"),
            (carol.Key, "carol", Joined("fake", fake.Endpoint), "broadcast"),
            (carol.Key, "carol", """{"action":"kicked","agent_id":"zoe"}""", "zoe"),
            (carol.Key, "carol", """{"action":"swarm_dissolved","reason":"master_left"}""", "broadcast"),
            (carol.Key, "carol", """{"action":"master_changed","old_master":"master","new_master":"carol"}""", "broadcast"),
            (carol.Key, "carol", """{"action":"master_changed","old_master":"carol","new_master":"carol"}""", "broadcast"),
            (carol.Key, "carol", $$"""{"action":"key_rotated","agent_id":"dave","public_key":"{{fake.PublicKey}}"}""", "broadcast"),
            (carol.Key, "carol", $$"""{"action":"key_rotated","agent_id":"carol","public_key":"{{dave.PublicKey}}"}""", "broadcast"),
            (carol.Key, "carol", """{"action":"key_rotated","agent_id":"carol","public_key":"AAAA"}""", "broadcast"),
            (carol.Key, "carol", $$"""{"action":"endpoint_changed","agent_id":"dave","endpoint":"{{fake.Endpoint}}"}""", "broadcast"),
            (carol.Key, "carol", """{"action":"endpoint_changed","agent_id":"carol","endpoint":"http://carol"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"master_changed","old_master":"carol","new_master":"dave"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"master_changed","old_master":"master","new_master":"fake"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"member_left","agent_id":"master"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"member_left","agent_id":"dave"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"member_kicked","agent_id":"master"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"kicked","agent_id":"yan"}""", "zoe"),
            (_scene.Master.Key, "master", """{"action":"kicked"}""", "broadcast"),
            (_scene.Master.Key, "master", """[{"action":"swarm_dissolved"}]""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"member_kicked","agent_id":"\ud800"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"member_kicked","agent_id":"dave","agent_id":"dave"}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"member_kicked","agent_id":7}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":["swarm_dissolved"]}""", "broadcast"),
            (_scene.Master.Key, "master", """{"action":"swarm_dissolved" """, "broadcast"),
            (_scene.Master.Key, "master", $$"""{"action":"member_kicked","agent_id":"dave","padding":"{{new string('x', 70_000)}}"}""", "broadcast"),
        };
        foreach (var (key, sender, content, to) in claims)
        {
            var answer = await _scene.TellAsync("zoe", key, sender, content, to);
            Assert.True(answer.Status == HttpStatusCode.OK && answer["status"].GetString() == "queued", $"{content}: {answer.Text}");
            Assert.Equal(before, await _scene.RosterAsync());
        }

        Assert.Equal("master", (await _scene.Node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}")).Ok()["master"].GetString());
        Assert.Equal(0, await _scene.Node.ScalarAsync<long>("select count(*) from introductions"));
        var inbox = await _scene.InboxAsync("zoe");
        Assert.All(claims, c => Assert.Contains(c.Content, inbox));
    }

    [Fact]
    [Conforms("ASP-57", "ASP-30")]
    [Refuses("W-02")]
    public async Task A_forged_event_is_refused_and_changes_nothing()
    {
        using var mallory = Key.Create(SignatureAlgorithm.Ed25519);
        var messages = await _scene.Node.ScalarAsync<long>("select count(*) from messages");
        Assert.Equal(HttpStatusCode.Unauthorized, (await _scene.TellAsync("zoe", mallory, "master", """{"action":"swarm_dissolved"}""")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await _scene.TellAsync("zoe", mallory, "mallory", """{"action":"member_kicked","agent_id":"yan"}""")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await _scene.TellAsync("zoe", """{"action":"kicked","agent_id":"yan"}""", "yan")).Status);
        Assert.Equal(
            HttpStatusCode.BadRequest,
            (await _scene.TellAsync("zoe", """{"action":"swarm_dissolved"}""", at: TimeProvider.System.GetUtcNow().AddDays(-8))).Status);
        Assert.Equal(["master", "zoe", "yan"], await _scene.MembersAsync());
        Assert.Equal(messages, await _scene.Node.ScalarAsync<long>("select count(*) from messages"));
    }

    [Fact]
    [Conforms("ASP-58")]
    [Refuses("W-18")]
    public async Task The_kicked_agent_has_left_and_keeps_its_inbox()
    {
        (await _scene.TellAsync("zoe", "before", "zoe")).Ok();
        (await _scene.TellAsync("zoe", """{"action":"kicked","agent_id":"zoe","reason":"noise"}""", "zoe")).Ok();
        Assert.Empty(await _scene.SwarmsOfAsync("zoe"));
        (await _scene.SendAsync("zoe")).Refused(HttpStatusCode.NotFound, "not-a-member");
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.TellAsync("zoe", "after", "zoe")).Status);
        Assert.Equal(["before", """{"action":"kicked","agent_id":"zoe","reason":"noise"}"""], await _scene.InboxAsync("zoe"));
        Assert.Equal(["master", "yan"], await _scene.MembersAsync());
        Assert.NotEmpty(await _scene.SwarmsOfAsync("yan"));

        // It may be invited again.
        (await _scene.JoinAsync("zoe")).Ok();
        (await _scene.SendAsync("zoe")).Ok();
    }

    [Fact]
    [Conforms("ASP-59")]
    public async Task The_other_documented_shapes_are_understood()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), dave = await _scene.PeerAsync("dave");
        await _scene.AddAsync("zoe", "carol", carol);
        await _scene.AddAsync("zoe", "dave", dave);
        Assert.Empty(carol.Requests);
        Assert.Equal(carol.PublicKey, (await _scene.MemberAsync("carol")).GetProperty("public_key").GetString());

        (await _scene.TellAsync("zoe", """{"type":"system","action":"member_kicked","member":"carol","initiated_by":"master"}""")).Ok();
        Assert.Equal(["master", "zoe", "yan", "dave"], await _scene.MembersAsync());
        (await _scene.TellAsync("zoe", dave.Key, "dave", """{"action":"member_left"}""")).Ok();
        Assert.Equal(["master", "zoe", "yan"], await _scene.MembersAsync());
        (await _scene.TellAsync("yan", """{"action":"kicked","reason":"x"}""", "yan")).Ok();
        Assert.Equal(["master", "zoe"], await _scene.MembersAsync());
    }

    [Fact]
    [Conforms("ASP-59", "ASP-52")]
    [Refuses("W-05")]
    public async Task A_joining_time_that_is_none_is_replaced_and_poisons_nothing()
    {
        var carol = await _scene.PeerAsync("carol");
        foreach (var (name, joinedAt) in new[] { ("a", "yesterday"), ("b", "9999-12-31T23:59:59.999Z"), ("c", "-1"), ("d", "0001-01-01T00:00:00Z") })
        {
            using var key = Key.Create(SignatureAlgorithm.Ed25519);
            (await _scene.TellAsync("zoe", JsonSerializer.Serialize(new
            {
                action = "member_joined",
                member = new { agent_id = name, endpoint = carol.Endpoint, public_key = PublicKeyText.Format(key.PublicKey), joined_at = joinedAt },
            }))).Ok();
            var joined = (await _scene.MemberAsync(name)).GetProperty("joined_at").GetDateTimeOffset();
            Assert.InRange(joined, TimeProvider.System.GetUtcNow().AddMinutes(-5), TimeProvider.System.GetUtcNow().AddMinutes(1));
        }

        (await _scene.SendAsync("zoe")).Ok();
        (await _scene.Node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/leave", new { agent = "zoe" })).Ok();
    }

    [Fact]
    [Conforms("ASP-60")]
    public async Task A_new_master_has_the_rights_and_the_old_one_has_them_no_more()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), dave = await _scene.PeerAsync("dave");
        await _scene.AddAsync("zoe", "carol", carol);
        await _scene.AddAsync("zoe", "dave", dave);
        (await _scene.TellAsync("zoe", """{"action":"master_changed","old_master":"master","new_master":"carol"}""")).Ok();
        Assert.Equal("carol", (await _scene.Node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}")).Ok()["master"].GetString());
        (await _scene.TellAsync("zoe", """{"action":"member_kicked","agent_id":"dave"}""")).Ok();
        Assert.Contains("dave", await _scene.MembersAsync());
        (await _scene.TellAsync("zoe", carol.Key, "carol", """{"action":"member_kicked","agent_id":"dave"}""")).Ok();
        Assert.DoesNotContain("dave", await _scene.MembersAsync());
        (await _scene.TellAsync("zoe", _scene.Master.Key, "master", """{"action":"member_left","agent_id":"master"}""")).Ok();
        Assert.Equal(["zoe", "yan", "carol"], await _scene.MembersAsync());
    }

    [Fact]
    [Conforms("ASP-60")]
    public async Task An_offer_of_the_master_is_taken_and_counts_once_it_is_announced()
    {
        var carol = await _scene.PeerAsync("carol");
        await _scene.AddAsync("zoe", "carol", carol);
        var offer = $$$"""{"action":"master_transfer","swarm_id":"{{{_scene.Swarm}}}","new_master":"zoe","settings":{"require_approval":true}}""";
        Assert.Equal("queued", (await _scene.TellAsync("zoe", carol.Key, "carol", offer, "zoe")).Ok()["status"].GetString());
        Assert.Equal("queued", (await _scene.TellAsync("zoe", offer)).Ok()["status"].GetString());
        Assert.Equal("queued", (await _scene.TellAsync("yan", offer, "yan")).Ok()["status"].GetString());
        var signed = _scene.Signed(_scene.Master.Key, "master", offer, "zoe");
        for (var time = 0; time < 2; time++)
        {
            var answer = (await _scene.Node.Http.PostMessageAsync("zoe", signed)).Ok();
            Assert.Equal(
                $$"""{"status":"accepted","message_id":"{{JsonElement.Parse(signed).GetProperty("message_id").GetString()}}"}""", answer.Text);
        }

        Assert.Equal("accepted", (await _scene.TellAsync("yan", """{"action":"master_transfer"}""", "yan")).Ok()["status"].GetString());
        Assert.Equal("master", (await _scene.Node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}")).Ok()["master"].GetString());
        (await _scene.Node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "zoe", target = "carol" }))
            .Refused(HttpStatusCode.Forbidden, "not-master");

        (await _scene.TellAsync("yan", """{"action":"master_changed","old_master":"master","new_master":"zoe"}""")).Ok();
        var swarm = (await _scene.Node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}")).Ok();
        Assert.Equal(("zoe", true), (swarm["master"].GetString(), swarm["settings"].GetProperty("require_approval").GetBoolean()));
        (await _scene.Node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "zoe", target = "carol" })).Ok();
        (await _scene.Node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/invites", new { agent = "zoe" })).Ok();
    }

    [Fact]
    [Conforms("ASP-60")]
    public async Task Where_agents_are_asked_an_offer_waits_in_the_inbox_until_its_receiver_has_agreed()
    {
        await using var far = await RemoteMaster.StartAsync(postgres, new Dictionary<string, string> { ["Swarm:MasterOffers"] = "Ask" }, "zoe", "yan");
        var path = $"/hub/v1/swarms/{far.Swarm}/agree";
        Task<Answer> OfferAsync(string to) => far.TellAsync(to, """{"action":"master_transfer"}""", to);
        Assert.Equal("queued", (await OfferAsync("zoe")).Ok()["status"].GetString());
        Assert.Contains("""{"action":"master_transfer"}""", await far.InboxAsync("zoe"));
        using (var yan = far.Node.ClientOf((await far.Node.Hub.PostHubAsync("/hub/v1/agents/yan/tokens", new { })).Ok()["token"].GetString()))
        {
            (await yan.PostHubAsync(path, new { agent = "zoe" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        }

        var agreed = (await far.Node.Hub.PostHubAsync(path, new { agent = "zoe" })).Ok();
        Assert.Equal(("agreed", "zoe"), (agreed["status"].GetString(), agreed["agent_id"].GetString()));
        Assert.Equal("accepted", (await OfferAsync("zoe")).Ok()["status"].GetString());
        Assert.Equal("queued", (await OfferAsync("yan")).Ok()["status"].GetString());
        Assert.Equal("declined", (await far.Node.Hub.PostHubAsync(path, new { agent = "zoe", accept = false })).Ok()["status"].GetString());
        Assert.Equal("queued", (await OfferAsync("zoe")).Ok()["status"].GetString());

        // Within the node it is the same; an agreement is for one time.
        using var scene = await Scene.CreateAsync(far.Node.Hub, ["alice", "carol"], ["eve"]);
        var (transfer, agree) = ($"/hub/v1/swarms/{scene.Swarm}/transfer", $"/hub/v1/swarms/{scene.Swarm}/agree");
        (await far.Node.Hub.PostHubAsync(transfer, new { agent = "alice", target = "carol" })).Refused(HttpStatusCode.Forbidden, "transfer-declined");
        Assert.Contains("master_transfer", Assert.Single(await far.InboxAsync("carol")), StringComparison.Ordinal);
        (await far.Node.Hub.PostHubAsync(agree, new { agent = "eve" })).Refused(HttpStatusCode.UnprocessableEntity, "key-not-held");
        (await far.Node.Hub.PostHubAsync(agree, new { agent = "zoe" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        foreach (var (from, to) in new[] { ("alice", "carol"), ("carol", "alice") })
        {
            (await far.Node.Hub.PostHubAsync(agree, new { agent = to })).Ok();
            (await far.Node.Hub.PostHubAsync(transfer, new { agent = from, target = to })).Ok();
        }

        (await far.Node.Hub.PostHubAsync(transfer, new { agent = "alice", target = "carol" })).Refused(HttpStatusCode.Forbidden, "transfer-declined");
    }

    [Fact]
    [Conforms("ASP-61")]
    public async Task A_swarm_that_its_master_dissolved_is_gone_and_inboxes_stay()
    {
        (await _scene.TellAsync("zoe", "before", "zoe")).Ok();
        (await _scene.TellAsync("zoe", """{"action":"swarm_dissolved","reason":"master_left"}""")).Ok();
        foreach (var agent in new[] { "zoe", "yan" })
        {
            Assert.Empty(await _scene.SwarmsOfAsync(agent));
            (await _scene.SendAsync(agent)).Refused(HttpStatusCode.NotFound, "not-a-member");
        }

        Assert.Equal(["before", """{"action":"swarm_dissolved","reason":"master_left"}"""], await _scene.InboxAsync("zoe"));
        Assert.Empty((await _scene.Node.Hub.GetHubAsync("/hub/v1/swarms")).Ok()["swarms"].EnumerateArray());
        Assert.Equal(HttpStatusCode.NotFound, (await _scene.TellAsync("zoe", "after", "zoe")).Status);
        (await _scene.JoinAsync("zoe")).Refused(HttpStatusCode.Conflict, "swarm-exists");
        (await _scene.Node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "zoe", name = "mine", swarm_id = _scene.Swarm.Value }))
            .Refused(HttpStatusCode.Conflict, "swarm-exists");
    }

    [Fact]
    [Conforms("ASP-62", "ASP-63")]
    [Refuses("W-13")]
    public async Task Joining_again_repairs_the_roster_and_pinned_keys_stay()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), dave = await _scene.PeerAsync("dave"), eve = await _scene.PeerAsync("eve");
        await _scene.AddAsync("zoe", "carol", carol);
        await _scene.AddAsync("zoe", "dave", dave);
        Assert.Equal(JsonValueKind.Null, (await _scene.MemberAsync("carol")).GetProperty("key_confirmed_at").ValueKind);

        // Missed: dave left, eve joined; and carol's key is told as another.
        _scene.Roster.AddRange([("eve", eve.Endpoint, eve.PublicKey), ("carol", carol.Endpoint, dave.PublicKey)]);
        (await _scene.JoinAsync("zoe")).Ok();
        Assert.Equal(["master", "zoe", "yan", "carol", "eve"], await _scene.MembersAsync());
        Assert.Equal(carol.PublicKey, (await _scene.MemberAsync("carol")).GetProperty("public_key").GetString());
        Assert.Equal(JsonValueKind.Null, (await _scene.MemberAsync("carol")).GetProperty("key_confirmed_at").ValueKind);
        Assert.Equal(JsonValueKind.String, (await _scene.MemberAsync("master")).GetProperty("key_confirmed_at").ValueKind);
        Assert.Equal(HttpStatusCode.Forbidden, (await _scene.TellAsync("zoe", dave.Key, "dave", "gone?", "zoe")).Status);
        Assert.Equal(HttpStatusCode.OK, (await _scene.TellAsync("zoe", eve.Key, "eve", "here", "zoe")).Status);

        // Who left with everybody of the node starts over.
        foreach (var agent in new[] { "zoe", "yan" })
        {
            (await _scene.Node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/leave", new { agent })).Ok();
        }

        _scene.Roster.RemoveAll(m => m.Name is "carol" or "yan");
        (await _scene.JoinAsync("zoe")).Ok();
        Assert.Equal(["master", "eve", "zoe"], await _scene.MembersAsync());
    }

    [Fact]
    [Conforms("ASP-63")]
    [Refuses("W-23")]
    public async Task A_pinned_key_changes_only_by_a_notice_that_the_old_one_signed()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), fresh = await _scene.PeerAsync("carol");
        await _scene.AddAsync("zoe", "carol", carol);
        await _scene.AddAsync("zoe", "carol", fresh);
        (await _scene.TellAsync("zoe", Joined("carol", fresh.Endpoint))).Ok();
        Assert.Equal(carol.PublicKey, (await _scene.MemberAsync("carol")).GetProperty("public_key").GetString());

        var rotated = $$"""{"action":"key_rotated","agent_id":"carol","public_key":"{{fresh.PublicKey}}"}""";
        Assert.Equal(HttpStatusCode.Unauthorized, (await _scene.TellAsync("zoe", fresh.Key, "carol", rotated)).Status);
        (await _scene.TellAsync("zoe", carol.Key, "carol", rotated)).Ok();
        var member = await _scene.MemberAsync("carol");
        Assert.Equal(fresh.PublicKey, member.GetProperty("public_key").GetString());
        Assert.InRange(member.GetProperty("key_confirmed_at").GetDateTimeOffset(), TimeProvider.System.GetUtcNow().AddMinutes(-1), TimeProvider.System.GetUtcNow());
        Assert.Equal(HttpStatusCode.Unauthorized, (await _scene.TellAsync("zoe", carol.Key, "carol", "old", "zoe")).Status);
        Assert.Equal(HttpStatusCode.OK, (await _scene.TellAsync("zoe", fresh.Key, "carol", "new", "zoe")).Status);
    }

    [Fact]
    [Conforms("ASP-57")]
    public async Task A_member_that_moved_is_reached_at_its_new_endpoint()
    {
        PeerServer carol = await _scene.PeerAsync("carol"), elsewhere = await _scene.PeerAsync("carol");
        await _scene.AddAsync("zoe", "carol", carol);
        (await _scene.TellAsync("zoe", carol.Key, "carol", $$"""{"action":"endpoint_changed","agent_id":"carol","endpoint":"{{elsewhere.Endpoint}}"}""")).Ok();
        await using var worker = await _scene.WorkAsync();
        (await _scene.SendAsync("zoe", "carol", "there?")).Ok();
        await Eventually.TrueAsync("it arrives there", () => elsewhere.Messages.Any(m => m.Content == "there?"), RemoteMaster.Limit);
        Assert.Empty(carol.Requests);
    }

    [Fact]
    [Conforms("ASP-53")]
    public async Task Without_its_effect_an_event_is_not_accepted()
    {
        var carol = await _scene.PeerAsync("carol");
        await _scene.AddAsync("zoe", "carol", carol);
        var kick = _scene.Signed(_scene.Master.Key, "master", """{"action":"member_kicked","agent_id":"carol"}""");
        await _scene.Node.ExecuteAsync("alter table lifecycle_marks rename to away");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _scene.Node.Http.PostMessageAsync("zoe", kick)).Status);
        await _scene.Node.ExecuteAsync("alter table away rename to lifecycle_marks");
        Assert.Contains("carol", await _scene.MembersAsync());
        Assert.DoesNotContain(await _scene.InboxAsync("zoe"), c => c.Contains("member_kicked", StringComparison.Ordinal));

        (await _scene.Node.Http.PostMessageAsync("zoe", kick)).Ok();
        Assert.DoesNotContain("carol", await _scene.MembersAsync());
        Assert.Single(await _scene.InboxAsync("zoe"), c => c.Contains("member_kicked", StringComparison.Ordinal));
    }

    [Fact]
    [Conforms("ASP-53")]
    public async Task Many_events_at_once_at_two_replicas_leave_one_roster_and_every_message()
    {
        await using var other = await _scene.Node.StartReplicaAsync();
        var keys = Enumerable.Range(0, 12).Select(_ => Key.Create(SignatureAlgorithm.Ed25519)).ToArray();
        var announced = keys.Select((key, n) => _scene.Signed(_scene.Master.Key, "master", JsonSerializer.Serialize(new
        {
            action = "member_joined", member = new { agent_id = $"m{n}", endpoint = _scene.Master.Endpoint, public_key = PublicKeyText.Format(key.PublicKey) },
        }))).ToArray();
        var answers = await Task.WhenAll(announced.SelectMany((message, n) => new[]
        {
            (n % 2 == 0 ? _scene.Node : other).Http.PostMessageAsync("zoe", message),
            (n % 2 == 0 ? other : _scene.Node).Http.PostMessageAsync("yan", message),
        }));
        Assert.All(answers, a => Assert.Contains(a.Status, new[] { HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable }));

        // Who was told to come back does.
        foreach (var message in announced)
        {
            foreach (var door in new[] { "zoe", "yan" })
            {
                await Eventually.TrueAsync(
                    "it is taken", async () => (await _scene.Node.Http.PostMessageAsync(door, message)).Status == HttpStatusCode.OK, RemoteMaster.Limit);
            }
        }

        Assert.Equal(
            keys.Select((_, n) => $"m{n}").Order(StringComparer.Ordinal),
            (await _scene.MembersAsync()).Where(m => m.StartsWith('m') && m != "master").Order(StringComparer.Ordinal));
        Assert.Equal(12, (await _scene.InboxAsync("zoe")).Length);
        Assert.Equal(12, (await _scene.InboxAsync("yan")).Length);
        foreach (var key in keys)
        {
            key.Dispose();
        }
    }

    private static string Joined(string name, string endpoint, string joinedAt = "2026-11-21T10:00:00.000Z") =>
        $$"""{"type": "system", "action": "member_joined", "swarm_id": "{{Guid.NewGuid()}}", "agent_id": "{{name}}", "endpoint": "{{endpoint}}", "joined_at": "{{joinedAt}}"}""";

    private static Task RedirectAsync(Microsoft.AspNetCore.Http.HttpContext http, string to)
    {
        http.Response.StatusCode = 307;
        http.Response.Headers.Location = $"{to}/info";
        return Task.CompletedTask;
    }

    private Task EventuallyMembersAsync(params string[] members) =>
        Eventually.TrueAsync(
            "the roster is " + string.Join(", ", members), async () => Enumerable.SequenceEqual(await _scene.MembersAsync(), members), RemoteMaster.Limit);
}
