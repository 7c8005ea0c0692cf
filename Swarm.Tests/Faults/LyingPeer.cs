using Microsoft.AspNetCore.Http;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Faults;

/// <summary>How a peer misbehaves.</summary>
internal enum Lie
{
    Hangs,
    BreaksOff,
    Fails,
    Redirects,
    NeverEnds,
    IsSlow,
    KnowsNobody,
    IsBusy,
}

/// <summary>A remote agent that takes pushes and writes down what it got and what it said; for a while it may misbehave.</summary>
internal sealed class LyingPeer : IAsyncDisposable
{
    private static readonly TimeSpan Slowness = TimeSpan.FromMilliseconds(700);

    private readonly PeerServer _server;
    private volatile History? _history;

    private LyingPeer(string name, PeerServer server)
    {
        (Name, _server) = (name, server);
        _server.Answer = AnswerAsync;
    }

    public string Name { get; }

    public string Endpoint => _server.Endpoint;

    /// <summary>The PEM file to trust.</summary>
    public string Ca => _server.Ca;

    /// <summary>Null while it is honest.</summary>
    public Lie? Lie { get; set; }

    /// <param name="like">Another one, whose authority it shares.</param>
    public static async Task<LyingPeer> StartAsync(string name, LyingPeer? like) => new(name, await PeerServer.StartAsync(like?._server));

    /// <summary>From now on it writes there.</summary>
    public void RecordTo(History history) => _history = history;

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task AnswerAsync(PeerRequest request, int before, HttpContext http)
    {
        // Who joins is told by the node itself, not by the load.
        if (!request.Path.EndsWith("/message", StringComparison.Ordinal) || _history is not { } history
            || request.Json.GetProperty("type").GetString() == "system")
        {
            await PeerServer.QueuedAsync(http);
            return;
        }

        var (order, at) = (history.NextOrder(), history.Now);
        void Record(int? status) => history.Pushed.Enqueue(new(Name, Load.KeyOf(request.Content), order, at, status));
        switch (Lie)
        {
            case Faults.Lie.Hangs:
                Record(null);
                await PeerServer.HangAsync(http);
                break;
            case Faults.Lie.BreaksOff:
                Record(null);
                await PeerServer.HalfAsync(http);
                break;
            case Faults.Lie.NeverEnds:
                Record(null);
                await PeerServer.EndlessAsync(http);
                break;
            case Faults.Lie.Fails:
                Record(500);
                await PeerServer.RespondAsync(http, 500);
                break;
            case Faults.Lie.Redirects:
                Record(307);
                http.Response.Headers.Location = Endpoint + "/elsewhere/message";
                await PeerServer.RespondAsync(http, 307);
                break;
            case Faults.Lie.KnowsNobody:
                Record(404);
                await PeerServer.RespondAsync(http, 404);
                break;
            case Faults.Lie.IsBusy:
                Record(503);
                await PeerServer.RespondAsync(http, 503, retryAfter: "1");
                break;
            default:
                if (Lie is Faults.Lie.IsSlow)
                {
                    await FaultNode.WaitAsync(Slowness);
                }

                Record(200);
                await PeerServer.QueuedAsync(http);
                break;
        }
    }
}
