using Swarm.Client;
using Swarm.Core.Delivery.Wake;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Client;

/// <summary>What helps an agent's program (ASP §11.4, §11.5), against a real node.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class AgentHelperTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeProcess _node = null!;
    private Scene _scene = null!;
    private SwarmClient _bob = null!;
    private SwarmClient _alice = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeProcess.StartNewAsync(await postgres.CreateDatabaseAsync());
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], []);
        _bob = ClientOf("bob");
        _alice = ClientOf("alice");
    }

    public async Task DisposeAsync()
    {
        _bob.Dispose();
        _alice.Dispose();
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-83")]
    public async Task The_context_of_a_message_holds_what_came_before_and_who_is_muted()
    {
        for (var i = 1; i <= 12; i++)
        {
            await SendAsync($"{i}");
        }

        await _bob.MuteAgentAsync("bob", "carol");
        var inbox = (await _bob.ListInboxAsync("bob", new() { Limit = 100 })).Messages;
        var context = await _bob.LoadContextAsync("bob", inbox[^1]);
        Assert.Equal("12", context.Message.Content);
        Assert.Equal(Enumerable.Range(2, 10).Select(i => $"{i}"), context.Recent.Select(m => m.Content));
        Assert.Equal(("alice", 3, 12L), (context.Swarm.Master, context.Swarm.Members!.Count, context.Unread));
        Assert.Equal((false, false), (context.SenderIsMuted, context.SwarmIsMuted));
        await _bob.MuteAgentAsync("bob", "alice");
        await _bob.MuteSwarmAsync("bob", _scene.Swarm.Value);
        context = await _bob.LoadContextAsync("bob", inbox[0]);
        Assert.Empty(context.Recent);
        Assert.Equal((true, true), (context.SenderIsMuted, context.SwarmIsMuted));
        Assert.Equal(12, (await _bob.CountInboxAsync("bob")).Unread);
    }

    [Fact]
    [Conforms("ASP-83")]
    public async Task Answers_refer_to_the_message_and_mark_it_as_read_also_when_they_fail()
    {
        var messages = new List<InboxMessage>();
        for (var i = 0; i < 5; i++)
        {
            await SendAsync($"{i}");
        }

        messages.AddRange((await _bob.ListInboxAsync("bob")).Messages);
        Responder To(int index) => new(_bob, "bob", messages[index]);
        Assert.Equal(2, (await To(0).ReplyToAllAsync("to all", new() { ThreadId = "t-1", Priority = "high" })).Recipients);
        Assert.Equal(1, (await To(1).ReplyDirectAsync("to you")).Recipients);
        await To(2).AcknowledgeAsync();
        var tooLong = await Assert.ThrowsAsync<SwarmApiException>(() => To(3).ReplyDirectAsync(new string('x', 1024 * 1024 + 1)));
        Assert.Equal("content-too-long", tooLong.ErrorId);
        Assert.Equal((1, 4), ((await _bob.CountInboxAsync("bob")).Unread, (await _bob.CountInboxAsync("bob")).Read));
        await To(4).LeaveAsync();
        Assert.Equal(0, (await _bob.CountInboxAsync("bob")).Unread);

        var got = (await _alice.ListInboxAsync("alice")).Messages;
        Assert.Equal(
            [
                $"broadcast message high to all {messages[0].MessageId} t-1", $"alice message normal to you {messages[1].MessageId} ",
                $"alice notification normal acknowledged {messages[2].MessageId} ",
            ],
            got.Select(m => $"{m.Recipient} {m.Type} {m.Priority} {m.Content} {m.InReplyTo} {m.ThreadId}"));
        await Assert.ThrowsAsync<SwarmApiException>(() => To(0).ReplyDirectAsync("no member any more"));
    }

    [Fact]
    [Conforms("ASP-81", "ASP-83")]
    public void An_agents_session_file_is_what_the_node_reads()
    {
        var folder = Directory.CreateTempSubdirectory("swarm-session-");
        try
        {
            var path = Path.Combine(folder.FullName, "session.json");
            var time = new SettableTime(new DateTimeOffset(2026, 2, 5, 14, 30, 0, TimeSpan.Zero));
            var timeout = TimeSpan.FromMinutes(30);
            var session = AgentSession.StartOrResume(path, timeout, time);
            Assert.True(SessionFile.Read(path, out var problem)!.IsActive(time.Now, timeout), problem);
            time.Now += TimeSpan.FromMinutes(20);
            session.Touch(path, _scene.Swarm.Value, time).Suspend(path, "half done", time);
            Assert.False(SessionFile.Read(path, out _)!.IsActive(time.Now, timeout));
            time.Now += timeout;
            var resumed = AgentSession.StartOrResume(path, timeout, time);
            Assert.Equal((session.SessionId, 1, "half done", "active"), (resumed.SessionId, resumed.MessagesProcessed, resumed.ContextSummary, resumed.State));
            time.Now += timeout + TimeSpan.FromMilliseconds(1);
            Assert.NotEqual(session.SessionId, AgentSession.StartOrResume(path, timeout, time).SessionId);
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            }

            AgentSession.End(path);
            Assert.Null(SessionFile.Read(path, out problem));
            Assert.Null(problem);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private SwarmClient ClientOf(string agent) => new(new() { Url = _node.Url, Token = _scene.TokenOf(agent) });

    private Task<SendResult> SendAsync(string content) =>
        _alice.SendAsync(new() { From = "alice", SwarmId = _scene.Swarm.Value, To = "bob", Content = content });
}
