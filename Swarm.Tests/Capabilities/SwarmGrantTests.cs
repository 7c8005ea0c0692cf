using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Delivery.Wake;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>A swarm that demands capabilities (ADR 26): who was granted nothing may do nothing, at every door and replica, from the moment it is said.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class SwarmGrantTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan RevokedWithin = TimeSpan.FromSeconds(1);

    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task Who_was_granted_nothing_sends_nothing_through_any_door()
    {
        (await SendAsync("bob")).Ok();
        var before = await TableState.ReadAsync(_node.Database, "messages");
        await DemandAsync("send");
        var demanded = await TableState.ReadAsync(_node.Database, "messages");
        (await SendAsync("bob")).Refused(HttpStatusCode.Forbidden, "capability-required");
        var batch = (await _node.Hub.PostHubAsync("/hub/v1/messages/batch", new { messages = new[] { Body("bob") } })).Ok();
        Assert.Equal("capability-required", batch["results"][0].GetProperty("error").GetProperty("id").GetString());
        var posted = await _node.Http.PostMessageAsync("alice", _scene.Signed("eve", "alice"));
        Assert.Equal(HttpStatusCode.Forbidden, posted.Status);
        Assert.Equal(
            ("NOT_AUTHORIZED", "capability_required"),
            (posted["error"].GetProperty("code").GetString(), posted["error"].GetProperty("details").GetProperty("reason").GetString()));
        Assert.Equal(demanded, await TableState.ReadAsync(_node.Database, "messages"));
        Assert.Equal(before, demanded);

        // The master needs nothing, and whoever leaves may say so.
        (await SendAsync("alice")).Ok();
        (await GrantAsync("bob", "worker")).Ok();
        (await GrantAsync("eve", "worker")).Ok();
        (await SendAsync("bob")).Ok();
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("alice", _scene.Signed("eve", "alice"))).Status);
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/leave", new { agent = "carol" })).Ok();
        await DemandAsync();
        (await _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "carol", invite_token = await _scene.InviteAsync(_node.Hub) })).Ok();
        (await SendAsync("carol")).Ok();
    }

    [Fact]
    public async Task Roles_may_what_they_list_and_no_more()
    {
        await DemandAsync("send", "invite", "wake");
        var cases = new (string Role, string[]? Allow, int Send, string[] Has)[]
        {
            ("worker", null, 201, ["swarm.send"]),
            ("worker", ["wake"], 403, ["swarm.wake"]),
            ("worker", [], 403, []),
            ("supervisor", null, 201, ["swarm.send", "swarm.invite", "swarm.wake"]),
            ("orchestrator", null, 201, ["swarm.send", "swarm.invite", "swarm.wake"]),
            ("auditor", null, 403, []),
        };
        foreach (var (role, allow, send, has) in cases)
        {
            var granted = (await GrantAsync("bob", role, allow)).Ok();
            Assert.Equal((role, has.Length), (granted["role"].GetString(), granted["capabilities"].GetArrayLength()));
            Assert.Equal(has, granted["capabilities"].EnumerateArray().Select(c => c.GetString()!));
            Assert.Equal(role == "auditor" || allow is [] ? JsonValueKind.Null : JsonValueKind.Object, granted["chain"].ValueKind);
            Assert.Equal(send, (int)(await SendAsync("bob")).Status is 200 or 201 ? 201 : 403);
            Assert.Equal(role, (await ListAsync())["grants"][0].GetProperty("role").GetString());
        }

        (await GrantAsync("bob", "auditor", ["send"])).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await GrantAsync("bob", "boss")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await GrantAsync("bob", "worker", ["fly"])).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await GrantAsync("nobody", "worker")).Refused(HttpStatusCode.NotFound, "not-a-member");
        (await GrantAsync("bob", "worker", [null!])).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        Assert.Equal("auditor", (await ListAsync())["grants"][0].GetProperty("role").GetString());
    }

    [Fact]
    public async Task No_grant_and_no_chain_outlives_what_the_node_allows()
    {
        await using var node = await NodeHost.StartAsync(postgres, settings: new Dictionary<string, string> { ["A1:CertificateTtlSecondsMax"] = "60" });
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], []);
        await DemandAsync(node, scene, "send");
        foreach (var ttl in new int?[] { null, 61, int.MaxValue })
        {
            var granted = (await GrantAsync(node, scene, "bob", "worker", ttl: ttl)).Ok();
            Assert.Equal(60, (granted["expires_at"].GetDateTimeOffset() - granted["issued_at"].GetDateTimeOffset()).TotalSeconds);
            var certificate = granted["chain"].GetProperty("certs")[0];
            Assert.Equal(60UL, certificate.GetProperty("expiration_unix").GetUInt64() - certificate.GetProperty("issued_at").GetUInt64());
        }
    }

    [Fact]
    public async Task A_grant_that_has_run_out_counts_for_nothing()
    {
        var time = new SettableTime(TimeProvider.System.GetUtcNow());
        await using var node = await NodeHost.StartAsync(postgres, time: time);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], []);
        await DemandAsync(node, scene, "send");
        (await GrantAsync(node, scene, "bob", "worker", ttl: 60)).Ok();
        time.Now += TimeSpan.FromSeconds(59);
        (await SendAsync(node, scene, "bob")).Ok();
        time.Now += TimeSpan.FromSeconds(1);
        (await SendAsync(node, scene, "bob")).Refused(HttpStatusCode.Forbidden, "capability-required");
        Assert.Equal(0, (await node.Hub.GetHubAsync($"/hub/v1/swarms/{scene.Swarm}/grants")).Ok()["grants"].GetArrayLength());
    }

    [Fact]
    public async Task Nothing_of_a_member_is_accepted_at_any_replica_after_its_grant_was_revoked()
    {
        await using var other = await _node.StartReplicaAsync();
        await DemandAsync("send");
        for (var round = 0; round < 5; round++)
        {
            (await GrantAsync("bob", "worker")).Ok();
            (await SendAsync(other, _scene, "bob")).Ok();
            using var stop = new CancellationTokenSource();
            var sending = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
            {
                var sent = 0;
                for (; !stop.IsCancellationRequested; sent++)
                {
                    Assert.True((await SendAsync(other, _scene, "bob")).Status is HttpStatusCode.Created or HttpStatusCode.OK or HttpStatusCode.Forbidden);
                }

                return sent;
            })).ToArray();
            (await RevokeAsync("bob")).Ok();
            var stored = await CountAsync();
            for (var i = 0; i < 20; i++)
            {
                (await SendAsync(other, _scene, "bob")).Refused(HttpStatusCode.Forbidden, "capability-required");
            }

            await stop.CancelAsync();
            await Task.WhenAll(sending);
            Assert.Equal(stored, await CountAsync());
        }
    }

    [Theory]
    [InlineData("grant")]
    [InlineData("member")]
    [InlineData("certificate")]
    [InlineData("swarm")]
    [InlineData("kick")]
    [InlineData("unheard")]
    public async Task What_a_revoked_member_has_open_ends_within_a_second(string how)
    {
        await using var other = await _node.StartReplicaAsync();
        await DemandAsync("send");
        var granted = (await GrantAsync("bob", "worker")).Ok();
        (await GrantAsync("carol", "worker")).Ok();
        (await SendAsync("alice")).Ok();
        using var client = other.ClientOf(_scene.TokenOf("bob"));
        using var neighbour = await SseStream.OpenAsync(other.Hub, "carol");
        var lease = (await client.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { max = 1, lease_seconds = 600 })).Ok();
        Assert.Equal(1, lease["messages"].GetArrayLength());
        using var stream = await SseStream.OpenAsync(client, "bob");

        var startedAt = Stopwatch.GetTimestamp();
        switch (how)
        {
            case "grant":
                (await RevokeAsync("bob")).Ok();
                break;
            case "member":
                await A1Async("/v1/swarm/member/remove", new { swarm_id = await A1SwarmAsync(), agent_did = granted["agent_did"].GetString() });
                break;
            case "certificate":
                await A1Async("/v1/cert/revoke", new { fingerprint_hex = granted["fingerprint"].GetString() });
                break;
            case "swarm":
                await A1Async("/v1/swarm/delete", new { swarm_id = await A1SwarmAsync() });
                break;
            case "kick":
                (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "bob" })).Ok();
                break;
            default:
                // As it looks to a replica that no event reached: only the epoch was raised.
                await _node.ExecuteAsync(
                    $"""
                    select end_grant(s.a1_swarm, m.public_key), end_work(m.agent_no), lock_swarm(s.swarm_no)
                    from members m join swarms s using (swarm_no) where m.name = 'bob' and s.swarm_id = '{_scene.Swarm}';
                    update node set control_epoch = control_epoch + 1
                    """);
                break;
        }

        Assert.Null(await stream.NextAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(startedAt), TimeSpan.Zero, RevokedWithin);
        (await client.PostHubAsync("/hub/v1/agents/bob/inbox/ack", new { lease_id = lease["lease_id"].GetString(), seqs = new[] { 1 } }))
            .Refused(HttpStatusCode.Conflict, "lease-lost");
        Assert.Equal(how == "kick" ? "not-a-member" : "capability-required", (await SendAsync(other, _scene, "bob")).Error);

        // Somebody else's goes on; the swarm's end concerns all.
        if (how != "swarm")
        {
            (await SendAsync("alice", "carol")).Ok();
            Assert.Equal("hello", await neighbour.NextContentAsync());
        }
    }

    [Fact]
    [Conforms("A1-32")]
    public async Task The_chain_of_a_grant_authorizes_until_its_member_leaves_or_has_a_new_key()
    {
        (await _node.Hub.CallAsync(
            HttpMethod.Put, $"/hub/v1/swarms/{_scene.Swarm}/demands",
            JsonContent.Create(new { demands = new[] { "send" }, capabilities = new[] { "repo.push" } }))).Ok();
        var chain = (await GrantAsync("eve", "worker", ["send", "repo.push"])).Ok()["chain"];
        Assert.Equal(200, await AuthorizeAsync(chain, "repo.push"));
        chain = (await GrantAsync("eve", "worker", ["send"])).Ok()["chain"];
        Assert.Equal(403, await AuthorizeAsync(chain, "repo.push"));

        // What it got before was revoked with the new grant, and this goes with the membership.
        chain = (await GrantAsync("eve", "worker", ["repo.push"])).Ok()["chain"];
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "eve" })).Ok();
        Assert.Equal(403, await AuthorizeAsync(chain, "repo.push"));
        await _scene.JoinAsync(_node.Hub, "eve");
        Assert.Equal(0, (await ListAsync())["grants"].GetArrayLength());

        var did = (await GrantAsync("bob", "worker")).Ok()["agent_did"].GetString();
        (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/rotate-key", new { })).Ok();
        (await SendAsync("bob")).Refused(HttpStatusCode.Forbidden, "capability-required");
        Assert.NotEqual(did, (await GrantAsync("bob", "worker")).Ok()["agent_did"].GetString());
        (await SendAsync("bob")).Ok();
    }

    [Fact]
    public async Task Members_invite_only_with_the_capability_and_their_tokens_admit_only_while_they_have_it()
    {
        var swarm = (await _node.Hub.PostHubAsync(
            "/hub/v1/swarms", new { agent = "alice", name = "open", allow_member_invite = true })).Ok()["swarm_id"].GetString();
        var first = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "alice" })).Ok()["invite_token"].GetString();
        (await _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "bob", invite_token = first })).Ok();
        (await PutAsync(swarm!, "invite")).Ok();
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "bob" })).Refused(HttpStatusCode.Forbidden, "capability-required");
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/grants", new { agent_id = "bob", role = "supervisor" })).Ok();
        var invite = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "bob", max_uses = 7 })).Ok()["invite_token"].GetString();
        (await _node.Hub.DeleteHubAsync($"/hub/v1/swarms/{swarm}/grants/bob")).Ok();
        (await _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "carol", invite_token = invite })).Refused(HttpStatusCode.Unauthorized, "token-signature");
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/grants", new { agent_id = "bob", role = "worker", capabilities = new[] { "invite" } })).Ok();
        (await _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "carol", invite_token = invite })).Ok();
    }

    [Fact]
    public async Task Messages_of_members_that_may_not_wake_are_delivered_and_wake_nobody()
    {
        await DemandAsync("wake");
        (await _node.Hub.PostHubAsync(
            "/hub/v1/agents/alice/wake",
            new { action = "webhook", url = "https://hook.example.com/x", preferences = new { wake_conditions = new[] { "any_message" }, coalesce_seconds = 0 } })).Ok();
        var queue = _node.Get<WakeQueue>();
        (await SendAsync("bob", "alice")).Ok();
        Assert.Empty((await queue.TakeAsync(10, default)).Orders);
        (await GrantAsync("bob", "worker", ["wake"])).Ok();
        (await SendAsync("bob", "alice")).Ok();
        var order = Assert.Single((await queue.TakeAsync(10, default)).Orders);
        Assert.Equal(2, Assert.Single(order.Messages).Seq);
        await queue.DoneAsync(order, "woken", default);
        (await RevokeAsync("bob")).Ok();
        (await SendAsync("bob", "alice")).Ok();
        Assert.Empty((await queue.TakeAsync(10, default)).Orders);
    }

    [Fact]
    public async Task Only_the_master_and_operators_decide_and_members_look()
    {
        var grants = $"/hub/v1/swarms/{_scene.Swarm}/grants";
        await DemandAsync("send");
        using var bob = _node.ClientOf(_scene.TokenOf("bob"));
        (await bob.PostHubAsync(grants, new { agent = "bob", agent_id = "bob", role = "orchestrator" })).Refused(HttpStatusCode.Forbidden, "not-master");
        (await bob.PostHubAsync(grants, new { agent = "alice", agent_id = "bob", role = "orchestrator" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await bob.DeleteHubAsync($"{grants}/carol?agent=bob")).Refused(HttpStatusCode.Forbidden, "not-master");
        (await bob.CallAsync(HttpMethod.Put, $"/hub/v1/swarms/{_scene.Swarm}/demands", JsonContent.Create(new { agent = "bob", demands = Array.Empty<string>() })))
            .Refused(HttpStatusCode.Forbidden, "not-master");
        (await SendAsync("bob")).Refused(HttpStatusCode.Forbidden, "capability-required");

        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        (await alice.PostHubAsync(grants, new { agent = "alice", agent_id = "bob", role = "worker" })).Ok();
        Assert.Equal("bob", (await bob.GetHubAsync(grants)).Ok()["grants"][0].GetProperty("agent_id").GetString());
        (await SendAsync("bob")).Ok();
        (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name = "stranger" })).Ok();
        using var stranger = _node.ClientOf(
            (await _node.Hub.PostHubAsync("/hub/v1/agents/stranger/tokens", new { })).Ok()["token"].GetString());
        (await stranger.GetHubAsync(grants)).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        (await stranger.PostHubAsync(grants, new { agent = "stranger", agent_id = "stranger", role = "worker" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        (await alice.DeleteHubAsync($"{grants}/carol?agent=alice")).Refused(HttpStatusCode.NotFound, "unknown-grant");
    }

    [Fact]
    public async Task Demands_change_as_one_and_bad_ones_change_nothing()
    {
        Assert.Equal(JsonValueKind.Null, (await ListAsync())["a1_swarm_id"].ValueKind);
        (await GrantAsync("bob", "worker")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        foreach (var body in new object[]
            { new { }, new { demands = new[] { "fly" } }, new { demands = new[] { "send" }, ttl_seconds = 0 }, new { demands = new[] { "send" }, a1_swarm_id = "x" },
              new { demands = new[] { "send" }, capabilities = new[] { new string('a', 100_000) } }, new { demands = new[] { "send" }, capabilities = new[] { "" } },
              new { demands = new[] { "send" }, capabilities = new string?[] { null } },
              new { demands = new string?[] { null } }, new { demands = new[] { "send" }, a1_swarm_id = new string('0', 64) }, new { demands = new[] { "send" }, ttl_seconds = long.MaxValue } })
        {
            var refused = await _node.Hub.CallAsync(HttpMethod.Put, $"/hub/v1/swarms/{_scene.Swarm}/demands", JsonContent.Create(body));
            Assert.True((int)refused.Status is >= 400 and < 500 and not 429, $"{(int)refused.Status} {refused.Text}");
        }

        Assert.Equal(0L, await _node.ScalarAsync<long>("select count(*) from a1_swarms"));
        await DemandAsync("send");
        var a1 = await A1SwarmAsync();
        (await GrantAsync("bob", "worker")).Ok();
        await DemandAsync("send", "wake");
        Assert.Equal((a1, 1), (await A1SwarmAsync(), (await ListAsync())["grants"].GetArrayLength()));
        (await _node.Hub.CallAsync(
            HttpMethod.Put, $"/hub/v1/swarms/{_scene.Swarm}/demands", JsonContent.Create(new { demands = new[] { "send" }, capabilities = new[] { "repo.push" } })))
            .Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        await DemandAsync();
        Assert.Equal(JsonValueKind.Null, (await ListAsync())["a1_swarm_id"].ValueKind);
        Assert.Equal(0L, await _node.ScalarAsync<long>("select count(*) from a1_swarms"));
        (await SendAsync("carol")).Ok();
    }

    [Fact]
    [Conforms("A1-29")]
    public async Task An_A1_swarm_of_somebody_elses_can_serve_and_its_owner_grants_by_A1s_own_routes()
    {
        using var owner = Key.Create(SignatureAlgorithm.Ed25519, new() { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
        var seed = Convert.ToHexStringLower(owner.Export(KeyBlobFormat.RawPrivateKey));
        var narrow = await A1Async("/v1/swarm/create", new { swarm_name = "narrow", capabilities = new[] { "swarm.wake" }, signing_key_hex = seed });
        var wide = await A1Async("/v1/swarm/create", new { swarm_name = "wide", capabilities = new[] { "swarm.send", "repo.push" }, signing_key_hex = seed });
        async Task<Answer> LinkAsync(JsonElement a1) => await _node.Hub.CallAsync(
            HttpMethod.Put, $"/hub/v1/swarms/{_scene.Swarm}/demands",
            JsonContent.Create(new { demands = new[] { "send" }, a1_swarm_id = a1.GetProperty("swarm_id").GetString() }));
        (await LinkAsync(narrow)).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await LinkAsync(wide)).Ok();
        Assert.Equal(HttpStatusCode.Forbidden, (await _node.Http.PostMessageAsync("alice", _scene.Signed("eve", "alice"))).Status);
        (await GrantAsync("bob", "worker")).Refused(HttpStatusCode.UnprocessableEntity, "key-not-held");
        var eve = Convert.ToHexStringLower(_scene.KeyOf("eve").PublicKey.Export(KeyBlobFormat.RawPublicKey));
        await A1Async("/v1/swarm/member/add", new
        {
            swarm_id = wide.GetProperty("swarm_id").GetString(), agent_pk_hex = eve, role = "worker", capabilities = new[] { "swarm.send" }, ttl_seconds = 600,
            signing_key_hex = seed,
        });
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("alice", _scene.Signed("eve", "alice"))).Status);
        await A1Async("/v1/swarm/member/remove", new { swarm_id = wide.GetProperty("swarm_id").GetString(), agent_did = $"did:a1:{eve}" });
        Assert.Equal(HttpStatusCode.Forbidden, (await _node.Http.PostMessageAsync("alice", _scene.Signed("eve", "alice"))).Status);

        // Ending the demands leaves somebody else's swarm as it is; one A1 swarm serves one of ours.
        await DemandAsync();
        Assert.Equal(2L, await _node.ScalarAsync<long>("select count(*) from a1_swarms"));
        (await LinkAsync(wide)).Ok();
        var second = (await _node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "second" })).Ok()["swarm_id"].GetString();
        (await _node.Hub.CallAsync(
            HttpMethod.Put, $"/hub/v1/swarms/{second}/demands",
            JsonContent.Create(new { demands = new[] { "send" }, a1_swarm_id = wide.GetProperty("swarm_id").GetString() })))
            .Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
    }

    private Task DemandAsync(params string[] actions) => DemandAsync(_node, _scene, actions);

    private static async Task DemandAsync(NodeHost node, Scene scene, params string[] actions) =>
        (await node.Hub.CallAsync(HttpMethod.Put, $"/hub/v1/swarms/{scene.Swarm}/demands", JsonContent.Create(new { demands = actions }))).Ok();

    private Task<Answer> PutAsync(string swarm, params string[] actions) =>
        _node.Hub.CallAsync(HttpMethod.Put, $"/hub/v1/swarms/{swarm}/demands", JsonContent.Create(new { demands = actions }));

    private Task<Answer> GrantAsync(string agent, string role, string[]? allow = null) => GrantAsync(_node, _scene, agent, role, allow);

    private static Task<Answer> GrantAsync(NodeHost node, Scene scene, string agent, string role, string[]? allow = null, int? ttl = null) =>
        node.Hub.PostHubAsync($"/hub/v1/swarms/{scene.Swarm}/grants", new { agent_id = agent, role, capabilities = allow, ttl_seconds = ttl });

    private Task<Answer> RevokeAsync(string agent) => _node.Hub.DeleteHubAsync($"/hub/v1/swarms/{_scene.Swarm}/grants/{agent}");

    private async Task<Answer> ListAsync() => (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}/grants")).Ok();

    private async Task<string> A1SwarmAsync() => (await ListAsync())["a1_swarm_id"].GetString()!;

    private async Task<JsonElement> A1Async(string path, object body)
    {
        var answer = await _node.Hub.PostObjectAsync(path, body);
        Assert.True(answer.Code is 200 or 201, $"{answer.Code} {answer.Json}");
        return answer.Json;
    }

    private async Task<int> AuthorizeAsync(JsonElement chain, string intent) => (await _node.Http.PostObjectAsync(
        "/v1/authorize",
        new
        {
            chain, intent_name = intent,
            executor_pk_hex = Convert.ToHexStringLower(_scene.KeyOf("eve").PublicKey.Export(KeyBlobFormat.RawPublicKey)),
        })).Code;

    private Task<Answer> SendAsync(string from, string? to = null) => SendAsync(_node, _scene, from, to);

    private static Task<Answer> SendAsync(NodeHost node, Scene scene, string from, string? to = null) =>
        node.Hub.PostHubAsync("/hub/v1/messages", Body(scene, from, to));

    private object Body(string from) => Body(_scene, from, null);

    private static object Body(Scene scene, string from, string? to) =>
        new { from, swarm_id = scene.Swarm.ToString(), to = to ?? (from == "bob" ? "alice" : "bob"), content = "hello" };

    private Task<long> CountAsync() => _node.ScalarAsync<long>("select count(*) from messages");
}
