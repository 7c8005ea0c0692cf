using Swarm.Core.Identity;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Hub;

/// <summary>What stays open on the strength of a token ends with it, and with nothing else (design §3 promise 7).</summary>
[Collection(PostgresCollection.Name)]
public sealed class SessionTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], []);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task A_session_ends_with_its_own_token_and_not_with_another()
    {
        var sessions = _node.Get<Sessions>();
        var (kept, lost) = (await OpenAsync("bob", "kept"), await OpenAsync("bob", "lost"));
        (await _node.Hub.DeleteHubAsync($"/hub/v1/agents/bob/tokens/{lost.Principal.TokenId}")).Ok();
        await EndAsync(lost);
        Assert.False(kept.Ended.IsCancellationRequested);

        (await _node.Hub.DeleteHubAsync("/hub/v1/agents/bob")).Ok();
        await EndAsync(kept);
        kept.Dispose();
        lost.Dispose();
        Assert.Equal(0, sessions.Count);
    }

    [Fact]
    public async Task A_session_ends_when_its_token_expires()
    {
        using var session = _node.Get<Sessions>().Open(
            new(1, TokenScope.OperatorAdmin, null, TimeProvider.System.GetUtcNow().AddMilliseconds(1500)), new AgentId(1));
        await EndAsync(session);
        Assert.True(TimeProvider.System.GetUtcNow() >= session.Principal.ExpiresAt);
    }

    [Fact]
    public async Task A_session_whose_token_was_revoked_while_it_was_being_opened_ends()
    {
        var before = await OpenAsync("bob", "x");
        (await _node.Hub.DeleteHubAsync($"/hub/v1/agents/bob/tokens/{before.Principal.TokenId}")).Ok();
        await EndAsync(before);

        // Authenticated before the change, opened after it.
        using var late = _node.Get<Sessions>().Open(before.Principal, before.Agent);
        await EndAsync(late);
    }

    private async Task<Session> OpenAsync(string agent, string label)
    {
        var issued = (await _node.Hub.PostHubAsync($"/hub/v1/agents/{agent}/tokens", new { label })).Ok();
        var principal = await _node.Get<Tokens>().AuthenticateAsync(issued["token"].GetString()!, default);
        return _node.Get<Sessions>().Open(principal!, principal!.Agent!.Value);
    }

    private static async Task EndAsync(Session session)
    {
        var ended = new TaskCompletionSource();
        using var registration = session.Ended.Register(ended.SetResult);
        await ended.Task.WaitAsync(Soon);
    }
}
