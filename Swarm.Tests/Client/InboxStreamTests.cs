using Microsoft.AspNetCore.Http;
using Swarm.Client;

namespace Swarm.Tests.Client;

public sealed class InboxStreamTests
{
    [Fact]
    public async Task A_broken_stream_goes_on_after_the_last_message_without_gap_or_repeat()
    {
        var two = new TaskCompletionSource();
        await using var peer = await HubPeer.StartAsync(async (context, request, number) =>
        {
            switch (number)
            {
                case 1:
                    await HubPeer.EventsAsync(
                        context, ": heartbeat\n\n", HubPeer.Event(1), HubPeer.Event(2), "id: 3\nevent: message\ndata: {\"seq\":3,");
                    await two.Task;
                    context.Abort(); // In the middle of the third.
                    break;
                case 2:
                    context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                    break;
                default:
                    await HubPeer.EventsAsync(context, HubPeer.Event(2), HubPeer.Event(3), HubPeer.Event(4)); // 2 once more: must not show twice.
                    await HubPeer.UntilAbortedAsync(context);
                    break;
            }
        });
        using var client = Client(peer.Url);
        var broken = 0;
        var seqs = await TakeAsync(client, 4, new InboxStreamOptions { OnBroken = _ => broken++ }, seq =>
        {
            if (seq == 2)
            {
                two.SetResult();
            }
        });
        Assert.Equal([1, 2, 3, 4], seqs);
        Assert.Equal([null, "2", "2"], peer.Seen.Select(request => request["Last-Event-ID"]));
        Assert.Equal(2, broken);
        Assert.All(peer.Seen, request => Assert.Equal("text/event-stream", request["Accept"]));
    }

    [Fact]
    public async Task A_stream_from_now_on_resumes_where_the_node_said_it_stood()
    {
        await using var peer = await HubPeer.StartAsync(async (context, _, number) =>
        {
            if (number == 1)
            {
                await HubPeer.EventsAsync(context, "id: 41\n\n"); // Where "now" is; then the connection ends before any message.
                return;
            }

            await HubPeer.EventsAsync(context, HubPeer.Event(42));
            await HubPeer.UntilAbortedAsync(context);
        });
        using var client = Client(peer.Url);
        Assert.Equal([42], await TakeAsync(client, 1, null));
        Assert.Equal([null, "41"], peer.Seen.Select(request => request["Last-Event-ID"]));
    }

    [Fact]
    public async Task From_the_start_asks_for_everything_after_zero()
    {
        await using var peer = await HubPeer.StartAsync(async (context, _, _) =>
        {
            await HubPeer.EventsAsync(context, HubPeer.Event(1));
            await HubPeer.UntilAbortedAsync(context);
        });
        using var client = Client(peer.Url);
        await TakeAsync(client, 1, new InboxStreamOptions { After = 0 });
        Assert.Equal("0", Assert.Single(peer.Seen)["Last-Event-ID"]);
    }

    [Fact]
    public async Task A_reset_is_told_and_the_stream_goes_on_with_the_oldest()
    {
        await using var peer = await HubPeer.StartAsync(async (context, _, _) =>
        {
            await HubPeer.EventsAsync(context, "event: reset\ndata: {\"oldest_seq\":100}\n\n", HubPeer.Event(100), HubPeer.Event(101));
            await HubPeer.UntilAbortedAsync(context);
        });
        using var client = Client(peer.Url);
        InboxReset? told = null;
        Assert.Equal([100, 101], await TakeAsync(client, 2, new InboxStreamOptions { After = 5, OnReset = reset => told = reset }));
        Assert.Equal(new InboxReset(100), told);
    }

    [Fact]
    public async Task A_reset_that_nobody_listens_to_ends_the_stream()
    {
        await using var peer = await HubPeer.StartAsync(
            (context, _, _) => HubPeer.EventsAsync(context, "event: reset\ndata: {\"oldest_seq\":100}\n\n"));
        using var client = Client(peer.Url);
        var failure = await Assert.ThrowsAsync<InboxResetException>(() => TakeAsync(client, 1, new InboxStreamOptions { After = 5 }));
        Assert.Equal(100, failure.Reset.OldestSeq);
    }

    [Fact]
    public async Task A_silent_stream_is_opened_again()
    {
        await using var peer = await HubPeer.StartAsync(async (context, _, number) =>
        {
            await HubPeer.EventsAsync(context, number == 1 ? HubPeer.Event(1) : HubPeer.Event(2));
            await HubPeer.UntilAbortedAsync(context);
        });
        using var client = new SwarmClient(new SwarmClientOptions
        {
            Url = peer.Url, StreamSilenceMax = TimeSpan.FromMilliseconds(100), RetryDelay = TimeSpan.FromMilliseconds(1),
        });
        Assert.Equal([1, 2], await TakeAsync(client, 2, null));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    public async Task A_refusal_ends_the_stream_also_after_it_once_stood(int status)
    {
        await using var peer = await HubPeer.StartAsync((context, _, number) => number == 1
            ? HubPeer.EventsAsync(context, HubPeer.Event(1))
            : HubPeer.ProblemAsync(context, status, "refused", "No."));
        using var client = Client(peer.Url);
        var refusal = await Assert.ThrowsAsync<SwarmApiException>(() => TakeAsync(client, 2, null));
        Assert.Equal(status, refusal.Status);
    }

    [Fact]
    public async Task A_first_connection_that_fails_is_an_error()
    {
        Uri url;
        await using (var peer = await HubPeer.StartAsync(200, ""))
        {
            url = peer.Url;
        }

        using var client = Client(url);
        await Assert.ThrowsAsync<SwarmConnectionException>(() => TakeAsync(client, 1, null));
    }

    [Fact]
    public async Task An_event_that_is_no_message_is_an_error_and_not_skipped()
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.EventsAsync(context, "data: {\"seq\":\n\n"));
        using var client = Client(peer.Url);
        await Assert.ThrowsAsync<SwarmConnectionException>(() => TakeAsync(client, 1, null));
    }

    private static async Task<List<long>> TakeAsync(
        SwarmClient client, int count, InboxStreamOptions? options, Action<long>? onMessage = null)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var seqs = new List<long>();
        await foreach (var message in client.StreamAsync("alice", options, timeout.Token))
        {
            seqs.Add(message.Seq);
            onMessage?.Invoke(message.Seq);
            if (seqs.Count == count)
            {
                break;
            }
        }

        return seqs;
    }

    private static SwarmClient Client(Uri url) => new(new SwarmClientOptions { Url = url, RetryDelay = TimeSpan.FromMilliseconds(1) });
}
