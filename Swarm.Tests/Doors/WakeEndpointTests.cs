using System.Net;
using System.Net.Http.Json;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Identity;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary><c>POST /api/wake</c>, sessions, and the invocation behind it (ASP §11.3, §11.4).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class WakeEndpointTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly object Body = new { message_id = "m", swarm_id = "550e8400-e29b-41d4-a716-446655440000", sender_id = "alice", notification_level = "normal" };

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("swarm-wake-");
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());

    private string Session => Path.Combine(_folder.FullName, "session.json");

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync()
    {
        _folder.Delete(recursive: true);
        return Task.CompletedTask;
    }

    [Fact]
    [Conforms("ASP-78")]
    public async Task It_is_off_unless_it_is_switched_on()
    {
        await using var node = await StartAsync([]);
        Assert.Equal((404, """{"detail":"Not Found"}"""), await PostAsync(node, Body));
        await using var on = await StartAsync(new() { ["Enabled"] = "true" });
        Assert.Equal((202, """{"status":"invoked","detail":null}"""), await PostAsync(on, Body));
        Assert.Equal(405, (await on.Http.SendAsync(HttpMethod.Get, "/api/wake")).Code);
    }

    [Fact]
    [Conforms("ASP-78", "ASP-80")]
    [Refuses("W-04")]
    public async Task A_wrong_secret_is_refused_and_wakes_nobody()
    {
        await using var node = await StartAsync(new() { ["Enabled"] = "true", ["Secret"] = "open-sesame" });
        var before = await TableState.ReadAsync(node.Database);
        foreach (var wrong in new[] { null, "", "open-sesam", "open-sesame ", "OPEN-SESAME", new string('x', 10_000) })
        {
            Assert.Equal((403, """{"status":"error","detail":"The wake secret is missing or wrong."}"""), await PostAsync(node, Body, wrong));
        }

        Assert.Equal(before, await TableState.ReadAsync(node.Database));
        Assert.Equal(202, (await PostAsync(node, Body, "open-sesame")).Code);
        Assert.False(WakeEndpoint.IsSecret(null, "x"));
        Assert.True(WakeEndpoint.IsSecret(null, ""));
    }

    [Theory]
    [InlineData("", "body:missing")]
    [InlineData("{}", "body.message_id:missing body.swarm_id:missing body.sender_id:missing body.notification_level:missing")]
    [InlineData("{\"message_id\":1,\"swarm_id\":\"s\",\"sender_id\":null,\"notification_level\":\"x\"}", "body.message_id:string_type body.sender_id:string_type")]
    [Conforms("ASP-78")]
    public async Task A_wrong_body_is_a_422_before_the_secret_is_asked(string body, string failures)
    {
        await using var node = await StartAsync(new() { ["Enabled"] = "true", ["Secret"] = "s" });
        var answer = await node.Http.PostAsync("/api/wake", System.Text.Encoding.UTF8.GetBytes(body));
        Assert.Equal(422, answer.Code);
        Assert.Equal(failures, string.Join(' ', answer.Failures));
    }

    [Fact]
    [Conforms("ASP-78", "ASP-81")]
    [Refuses("W-30")]
    public async Task An_active_session_is_left_alone_as_long_as_it_is_fresh_and_the_file_is_read_each_time()
    {
        await using var node = await StartAsync(new() { ["Enabled"] = "true", ["SessionFile"] = Session, ["SessionTimeoutMinutes"] = "30" });
        Assert.Equal(202, (await PostAsync(node, Body)).Code);
        var now = _time.Now;
        await WriteAsync("active", now.AddMinutes(-30));
        Assert.Equal((200, """{"status":"already_active","detail":null}"""), await PostAsync(node, Body));
        foreach (var (state, lastActive) in new[] { ("active", now.AddMinutes(-30).AddSeconds(-1)), ("idle", now), ("suspended", now) })
        {
            await WriteAsync(state, lastActive);
            Assert.Equal(202, (await PostAsync(node, Body)).Code);
        }

        await WriteAsync("active", now);
        Assert.Equal(200, (await PostAsync(node, Body)).Code);
        File.Delete(Session);
        Assert.Equal(202, (await PostAsync(node, Body)).Code);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{broken")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"session_id\":\"s\"}")]
    [InlineData("{\"session_id\":\"s\",\"state\":\"dancing\",\"started_at\":\"2026-01-01T00:00:00Z\",\"last_active\":\"2026-01-01T00:00:00Z\"}")]
    [InlineData("{\"session_id\":\"s\",\"state\":\"active\",\"started_at\":\"yesterday\",\"last_active\":\"2026-01-01T00:00:00Z\"}")]
    [InlineData("{\"session_id\":7,\"state\":\"active\",\"started_at\":\"2026-01-01T00:00:00Z\",\"last_active\":\"2026-01-01T00:00:00Z\"}")]
    [Conforms("ASP-81", "ASP-108")]
    [Refuses("W-25")]
    public async Task A_broken_session_file_counts_as_absent_and_stays_where_it_is(string text)
    {
        await using var node = await StartAsync(new() { ["Enabled"] = "true", ["SessionFile"] = Session });
        await File.WriteAllTextAsync(Session, text);
        Assert.Equal(202, (await PostAsync(node, Body)).Code);
        Assert.Equal(text, await File.ReadAllTextAsync(Session));
        Assert.Null(SessionFile.Read(Session, out var problem));
        Assert.NotNull(problem);
    }

    [Fact]
    [Conforms("ASP-81")]
    [Refuses("W-25")]
    public async Task A_session_may_be_resumed_when_it_is_not_idle_and_fresh_and_times_without_a_zone_are_UTC()
    {
        await File.WriteAllTextAsync(
            Session, """{"session_id":"s","state":"suspended","started_at":"2026-02-05T14:00:00","last_active":"2026-02-05T14:30:00.123456","messages_processed":3}""");
        var record = SessionFile.Read(Session, out var problem)!;
        Assert.Null(problem);
        var at = new DateTimeOffset(2026, 2, 5, 15, 0, 0, 123, TimeSpan.Zero);
        Assert.True(record.MayResume(at, TimeSpan.FromMinutes(30)));
        Assert.False(record.MayResume(at.AddMilliseconds(1), TimeSpan.FromMinutes(30)));
        Assert.False(record.IsActive(at, TimeSpan.FromMinutes(30)));
        Assert.False((record with { State = SessionState.Idle }).MayResume(at, TimeSpan.FromMinutes(30)));
        await File.WriteAllTextAsync(Session, new string(' ', SessionFile.BytesMax + 1));
        Assert.Null(SessionFile.Read(Session, out problem));
        Assert.Equal($"it is larger than {SessionFile.BytesMax} bytes", problem);
    }

    [Fact]
    [Conforms("ASP-79", "ASP-80")]
    [Refuses("W-04", "W-20")]
    public async Task Wakes_during_one_invocation_lead_to_exactly_one_more_and_only_a_clean_name_is_typed()
    {
        // A tmux that waits at its first call until it is let go, and writes down how it was called.
        var fake = Path.Combine(_folder.FullName, "tmux");
        await File.WriteAllTextAsync(
            fake,
            """
            #!/bin/sh
            here=$(dirname "$0")
            printf '%s|' "$@" >>"$here/calls"; echo >>"$here/calls"
            while [ ! -e "$here/go" ]; do sleep 0.05; done
            """);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(fake, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        var path = Environment.GetEnvironmentVariable("PATH");
        var calls = Path.Combine(_folder.FullName, "calls");
        try
        {
            Environment.SetEnvironmentVariable("PATH", $"{_folder.FullName}:{path}");
            await using var node = await StartAsync(
                new() { ["Enabled"] = "true", ["Method"] = "tmux", ["TmuxTarget"] = "bob:0" }, TimeProvider.System);
            Assert.Equal(202, (await PostAsync(node, Wake("alice"))).Code);
            await Eventually.TrueAsync("the first invocation runs", () => File.Exists(calls), Limit);
            foreach (var sender in new[] { "carol", "dave", "x\u001b]0;evil\u0007\n$(reboot)" })
            {
                Assert.Equal(202, (await PostAsync(node, Wake(sender))).Code);
            }

            await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "go"), "");
            await Eventually.TrueAsync("the second invocation ended", () => File.ReadAllLines(calls).Length == 4, Limit);
            Assert.Equal(202, (await PostAsync(node, Wake("erin"))).Code);
            await Eventually.TrueAsync("a later one runs by itself", () => File.ReadAllLines(calls).Length == 6, Limit);
        }
        finally
        {
            Environment.SetEnvironmentVariable("PATH", path);
        }

        Assert.Equal(
            [
                "send-keys|-t|bob:0|-l|--|[swarm] New message from alice|", "send-keys|-t|bob:0|C-m|",
                "send-keys|-t|bob:0|-l|--|[swarm] New message from unknown|", "send-keys|-t|bob:0|C-m|",
                "send-keys|-t|bob:0|-l|--|[swarm] New message from erin|", "send-keys|-t|bob:0|C-m|",
            ],
            await File.ReadAllLinesAsync(calls));
    }

    [Fact]
    [Conforms("ASP-79")]
    public void Wrong_settings_are_told_and_a_wake_without_secret_is_open()
    {
        Assert.Null(new WakeEndpointOptions { Method = "nonsense" }.Fault());
        Assert.NotNull(new WakeEndpointOptions { Enabled = true, Method = "nonsense" }.Fault());
        Assert.NotNull(new WakeEndpointOptions { Enabled = true, Method = "tmux" }.Fault());
        Assert.Null(new WakeEndpointOptions { Enabled = true, Method = "tmux", TmuxTarget = "bob" }.Fault());
        Assert.NotNull(new WakeEndpointOptions { Enabled = true, SessionTimeoutMinutes = 0 }.Fault());
        Assert.True(new WakeEndpointOptions { Enabled = true }.IsOpen);
        Assert.False(new WakeEndpointOptions { Enabled = true, Secret = "s" }.IsOpen);
    }

    [Fact]
    [Conforms("ASP-82")]
    public async Task A_conversation_has_one_session_for_each_swarm_and_peer_until_it_was_silent_too_long()
    {
        await using var node = await StartAsync([]);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], []);
        var conversations = node.Get<Conversations>();
        var bob = (await node.Get<AgentDirectory>().FindAsync("bob", default))!.Id;
        var (swarm, other, timeout) = (scene.Swarm, new SwarmId(Guid.NewGuid()), TimeSpan.FromMinutes(30));
        Assert.Null(await conversations.FindAsync(bob, swarm, "alice", timeout, default));
        await conversations.SaveAsync(bob, swarm, "alice", "session-1", default);
        await conversations.SaveAsync(bob, other, "alice", "session-2", default);
        Assert.Equal("session-1", await conversations.FindAsync(bob, swarm, "alice", timeout, default));
        Assert.Equal("session-2", await conversations.FindAsync(bob, other, "alice", timeout, default));
        Assert.Null(await conversations.FindAsync(bob, swarm, "carol", timeout, default));
        await conversations.SaveAsync(bob, swarm, "alice", "session-3", default);
        Assert.Equal("session-3", await conversations.FindAsync(bob, swarm, "alice", timeout, default));

        _time.Now += timeout + TimeSpan.FromSeconds(1);
        Assert.Null(await conversations.FindAsync(bob, swarm, "alice", timeout, default));
        Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from conversations"));
        await conversations.SaveAsync(bob, swarm, "alice", new string('x', Conversations.SessionIdBytesMax), default);
        await Assert.ThrowsAsync<SwarmException>(
            () => conversations.SaveAsync(bob, swarm, "alice", new string('x', Conversations.SessionIdBytesMax + 1), default));
    }

    private static object Wake(string sender) =>
        new { message_id = "m", swarm_id = "550e8400-e29b-41d4-a716-446655440000", sender_id = sender, notification_level = "normal" };

    private static async Task<(int Code, string Text)> PostAsync(NodeHost node, object body, string? secret = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/wake") { Content = JsonContent.Create(body) };
        if (secret is not null)
        {
            request.Headers.TryAddWithoutValidation("X-Wake-Secret", secret);
        }

        using var answer = await node.Http.SendAsync(request);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private async Task<NodeHost> StartAsync(Dictionary<string, string> wake, TimeProvider? time = null)
    {
        var node = await NodeHost.StartAsync(
            postgres, time: time ?? _time, settings: wake.ToDictionary(s => "AgentSwarm:Wake:" + s.Key, s => s.Value));
        (await node.Hub.PostHubAsync("/hub/v1/agents", new { name = "sleeper", @default = true })).Ok();
        return node;
    }

    private Task WriteAsync(string state, DateTimeOffset lastActive) => File.WriteAllTextAsync(
        Session, $$"""{"session_id":"s","state":"{{state}}","started_at":"2026-01-01T00:00:00Z","last_active":"{{lastActive:O}}"}""");
}
