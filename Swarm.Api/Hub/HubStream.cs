using System.Text;
using System.Text.Json;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Presence;
using Swarm.Core.Storage;

namespace Swarm.Api.Hub;

/// <summary>The inbox as server-sent events: a view that resumes by sequence number, without gap or repeat.</summary>
internal static class HubStream
{
    /// <summary>How often an idle stream sends a comment, so that both ends notice a dead connection.</summary>
    public static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(15);

    private static readonly ReadOnlyMemory<byte> StillHere = ": still here\n\n"u8.ToArray();

    public static async Task Follow(
        HttpContext http, string agent, AgentDirectory directory, Inbox inbox, InboxStream stream, Sessions sessions, LastSeen seen, TimeProvider time)
    {
        var profile = await http.SeeAsync(directory, agent);
        var principal = HubGate.PrincipalOf(http);
        using var session = sessions.Open(principal, profile.Id);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, session.Ended);
        try
        {
            var (newest, oldest) = await inbox.BoundsAsync(profile.Id, ended.Token);
            var after = Position(http) ?? newest;

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
            using var follower = stream.Follow(profile.Id, after);

            // Streams that came together, as after a restart, do not beat together.
            var beat = Heartbeat * Random.Shared.NextDouble();
            while (true)
            {
                while (await follower.ReadAsync(ended.Token) is { Count: > 0 } items)
                {
                    foreach (var item in items)
                    {
                        // Waits while the reader is slow, so a stream never holds more than one page.
                        await WriteAsync(
                            http,
                            $"id: {item.Seq}\nevent: message\ndata: {JsonSerializer.Serialize(HubInbox.ToBody(item), HubJson.Default.MessageBody)}\n\n",
                            ended.Token);
                    }
                }

                Note();
                while (!await follower.WaitAsync(beat, time, ended.Token))
                {
                    beat = Heartbeat;
                    await http.Response.BodyWriter.WriteAsync(StillHere, ended.Token);
                    Note();
                }
            }
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // The reader left, or its right to read ended.
        }
        catch (Exception e) when (http.Response.HasStarted && DatabaseFailure.Is(e))
        {
            // The answer has begun, so it cannot say why it ends; the reader comes back, and resumes where it was.
        }

        void Note()
        {
            if (principal.Agent == profile.Id)
            {
                // An operator who looks on does not make an agent present.
                seen.Note(profile.Id);
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
