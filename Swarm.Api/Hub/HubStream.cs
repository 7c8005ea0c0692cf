using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Presence;
using Swarm.Core.Signals;

namespace Swarm.Api.Hub;

/// <summary>The inbox as server-sent events: a view that resumes by sequence number, without gap or repeat.</summary>
internal static class HubStream
{
    /// <summary>How often an idle stream sends a comment, so that both ends notice a dead connection.</summary>
    public static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    public static async Task Follow(
        HttpContext http, string agent, AgentDirectory directory, Inbox inbox, InboxStream stream, ControlEvents control, HubGate gate, LastSeen seen,
        TimeProvider time)
    {
        var profile = await http.SeeAsync(directory, agent);
        var (newest, oldest) = await inbox.BoundsAsync(profile.Id, http.RequestAborted);
        var after = Position(http) ?? newest;
        // An operator who looks on does not make an agent present.
        Action isHere = HubGate.PrincipalOf(http).Agent == profile.Id ? () => seen.Note(profile.Id) : static () => { };
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        // A channel, because nothing of it must be disposed: an event may still be on its way when the stream has ended.
        var changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        void OnChanged(ControlEvent change)
        {
            if (change.Kind is ControlKind.Agent or ControlKind.Token)
            {
                Wake();
            }
        }

        void Wake() => changed.Writer.TryWrite(true);

        control.Changed += OnChanged;
        control.Missed += Wake;
        var guard = GuardAsync(http, directory, profile, gate, changed.Reader, ended);
        try
        {
            http.Response.ContentType = "text/event-stream";
            http.Response.Headers.CacheControl = "no-store";
            await http.Response.StartAsync(ended.Token);
            if (after < oldest - 1)
            {
                await WriteAsync(http, $"event: reset\ndata: {JsonSerializer.Serialize(new ResetBody(oldest), HubJson.Default.ResetBody)}\n\n", ended.Token);
                after = oldest - 1;
            }

            // An id without data is no event, but tells a reader of "from now on" where to resume.
            await WriteAsync(http, $": swarm\nid: {after}\n\n", ended.Token);
            await WriteAllAsync(
                http, stream.FollowAsync(profile.Id, after, ended.Token).GetAsyncEnumerator(ended.Token), isHere, time, ended.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The reader left, or its right to read ended.
        }
        finally
        {
            control.Changed -= OnChanged;
            control.Missed -= Wake;
            await ended.CancelAsync();
            await guard;
        }
    }

    private static async Task WriteAllAsync(
        HttpContext http, IAsyncEnumerator<InboxItem> items, Action isHere, TimeProvider time, CancellationToken cancellation)
    {
        await using var all = items;
        var next = items.MoveNextAsync().AsTask();
        while (true)
        {
            while (true)
            {
                isHere();
                try
                {
                    await next.WaitAsync(Heartbeat, time, cancellation);
                    break;
                }
                catch (TimeoutException)
                {
                    await WriteAsync(http, ": still here\n\n", cancellation);
                }
                catch (OperationCanceledException)
                {
                    // The enumerator ends by the same token; it must be idle before it is disposed.
                    await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    throw;
                }
            }

            if (!await next)
            {
                return;
            }

            var item = items.Current;
            await WriteAsync(
                http,
                $"id: {item.Seq}\nevent: message\ndata: {JsonSerializer.Serialize(HubInbox.ToBody(item), HubJson.Default.MessageBody)}\n\n",
                cancellation);
            next = items.MoveNextAsync().AsTask();
        }
    }

    /// <summary>Ends the stream when the token or the agent behind it is revoked.</summary>
    private static async Task GuardAsync(
        HttpContext http, AgentDirectory directory, AgentProfile profile, HubGate gate, ChannelReader<bool> changed, CancellationTokenSource ended)
    {
        while (true)
        {
            try
            {
                await changed.ReadAsync(ended.Token);
                if (!await gate.IsStillValidAsync(http) || await directory.FindAsync(profile.Name, ended.Token) is null)
                {
                    await ended.CancelAsync();
                }
            }
            catch (OperationCanceledException) when (ended.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (HubErrors.FromException(e) is not null)
            {
                // The database is away: the right cannot be confirmed, so it ends; the reader resumes where it was.
                await ended.CancelAsync();
            }
        }
    }

    private static long? Position(HttpContext http)
    {
        string? last = http.Request.Headers["Last-Event-ID"];
        if (string.IsNullOrEmpty(last))
        {
            var after = http.Number("after", 0, long.MaxValue, -1);
            return after < 0 ? null : after;
        }

        return long.TryParse(last, out var seq) && seq >= 0
            ? seq
            : throw new SwarmException(SwarmError.InvalidRequest, "Last-Event-ID is the sequence number of an event of this stream.");
    }

    private static async Task WriteAsync(HttpContext http, string text, CancellationToken cancellation)
    {
        await http.Response.BodyWriter.WriteAsync(Encoding.UTF8.GetBytes(text), cancellation);
    }
}
