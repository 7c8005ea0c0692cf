using System.Buffers;
using System.Text;

namespace Swarm.Client;

/// <summary>One event of a server-sent event stream.</summary>
/// <param name="Type"><c>message</c> when the stream does not say.</param>
/// <param name="LastId">The id that a resumption would name: this event's, or the last one before it.</param>
internal sealed record SseEvent(string Type, string Data, string LastId);

/// <summary>An event or line is longer than the parser takes.</summary>
internal sealed class SseLimitException(int bytesMax) : Exception($"A server-sent event is longer than {bytesMax} bytes.");

/// <summary>
/// Reads the event stream format of the HTML standard (section "Server-sent events") from chunks that may end anywhere, also inside a
/// UTF-8 sequence or between CR and LF.
/// <code>
/// id: 41⏎
/// event: message⏎
/// data: {"seq":41,…}⏎
/// ⏎
/// </code>
/// </summary>
internal sealed class SseParser(int eventBytesMax = SseParser.DefaultEventBytesMax)
{
    /// <summary>Room for one message of 1 MiB with every character escaped, and its attachments.</summary>
    public const int DefaultEventBytesMax = 32 * 1024 * 1024;

    private readonly ArrayBufferWriter<byte> line = new();
    private readonly StringBuilder data = new();
    private string type = "";
    private string pendingId = "";
    private bool hasData;
    private int eventBytes;
    private bool afterCarriageReturn;
    private bool atStart = true;

    /// <summary>The id to resume after; empty before the first one.</summary>
    public string LastId { get; private set; } = "";

    /// <summary>The reconnection time that the stream asked for; null when it did not.</summary>
    public TimeSpan? Retry { get; private set; }

    /// <summary>Takes the next bytes of the stream and adds the events that they complete to <paramref name="events"/>.</summary>
    /// <exception cref="SseLimitException">An event is too long; the parser is of no further use.</exception>
    public void Feed(ReadOnlySpan<byte> chunk, ICollection<SseEvent> events)
    {
        while (!chunk.IsEmpty)
        {
            if (afterCarriageReturn)
            {
                afterCarriageReturn = false;
                if (chunk[0] == '\n')
                {
                    chunk = chunk[1..];
                    continue;
                }
            }

            var end = chunk.IndexOfAny((byte)'\r', (byte)'\n');
            Append(end < 0 ? chunk : chunk[..end]);
            if (end < 0)
            {
                return;
            }

            afterCarriageReturn = chunk[end] == '\r';
            chunk = chunk[(end + 1)..];
            EndLine(events);
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        eventBytes += bytes.Length;
        if (eventBytes > eventBytesMax)
        {
            throw new SseLimitException(eventBytesMax);
        }

        line.Write(bytes);
    }

    private void EndLine(ICollection<SseEvent> events)
    {
        var bytes = line.WrittenSpan;
        if (atStart && bytes.StartsWith("\uFEFF"u8))
        {
            bytes = bytes[3..];
        }

        atStart = false;
        if (bytes.IsEmpty)
        {
            Dispatch(events);
        }
        else
        {
            Field(bytes);
        }

        line.ResetWrittenCount();
    }

    private void Field(ReadOnlySpan<byte> bytes)
    {
        var colon = bytes.IndexOf((byte)':');
        if (colon == 0)
        {
            eventBytes -= bytes.Length; // A comment; heartbeats must not add up to the limit.
            return;
        }

        var name = colon < 0 ? bytes : bytes[..colon];
        var value = colon < 0 ? default : bytes[(colon + 1)..];
        if (value.StartsWith(" "u8))
        {
            value = value[1..];
        }

        if (name.SequenceEqual("data"u8))
        {
            data.Append(hasData ? "\n" : "").Append(Encoding.UTF8.GetString(value));
            hasData = true;
        }
        else if (name.SequenceEqual("event"u8))
        {
            type = Encoding.UTF8.GetString(value);
        }
        else if (name.SequenceEqual("id"u8) && !value.Contains((byte)0))
        {
            pendingId = Encoding.UTF8.GetString(value);
        }
        else if (name.SequenceEqual("retry"u8) && int.TryParse(value, System.Globalization.NumberStyles.None, null, out var milliseconds))
        {
            Retry = TimeSpan.FromMilliseconds(milliseconds);
        }
    }

    private void Dispatch(ICollection<SseEvent> events)
    {
        LastId = pendingId;
        if (hasData)
        {
            events.Add(new SseEvent(type.Length == 0 ? "message" : type, data.ToString(), LastId));
        }

        data.Clear();
        hasData = false;
        type = "";
        eventBytes = 0;
    }
}
