using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Benchmarks.Load;

/// <summary>
/// Messages signed before the run, because signing would take half the machine from what is measured. Only id and signature are
/// kept of each; the rest is put together as it is sent. Every hundredth is forged or a duplicate of the one before.
/// </summary>
internal sealed class SignedMessages
{
    /// <summary>The length of a content, in characters.</summary>
    public const int ContentLength = 1_000;

    private const int SpoiltEvery = 200;

    private readonly Guid[] _ids;
    private readonly byte[][] _signatures;
    private readonly byte[][] _heads;
    private readonly byte[][] _paths;
    private readonly byte[][] _itemHeads;
    private readonly string _timestamp;
    private readonly byte[] _middle;

    public SignedMessages(Population population, int count, DateTimeOffset now, Action<int>? progress = null)
    {
        _timestamp = AspTimestamp.Format(now);
        _ids = new Guid[count];
        _signatures = new byte[count][];
        var content = Content();
        _paths = [.. Enumerable.Range(0, Population.Recipients).Select(r => Encoding.ASCII.GetBytes($"/agents/{Population.RecipientName(r)}/swarm/message"))];
        _middle = Encoding.ASCII.GetBytes($"\",\"type\":\"message\",\"content\":\"{content}\",\"signature\":\"");
        _heads = [.. Enumerable.Range(0, Population.Senders).Select(s => Encoding.ASCII.GetBytes(
            $"\",\"timestamp\":\"{_timestamp}\",\"sender\":{{\"agent_id\":\"{Population.SenderName(s)}\",\"endpoint\":\"{Population.Endpoint(Population.SenderName(s))}\"}}" +
            $",\"swarm_id\":\"{population.SwarmIds[s % Population.Swarms]:D}\",\"recipient\":\""))];
        _itemHeads = [.. Enumerable.Range(0, Population.Senders).Select(s => Encoding.ASCII.GetBytes(
            $"{{\"from\":\"{Population.SenderName(s)}\",\"swarm_id\":\"{population.SwarmIds[s % Population.Swarms]:D}\",\"timestamp\":\"{_timestamp}\",\"message_id\":\""))];
        var done = 0;
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, i =>
        {
            var id = Guid.NewGuid();
            var sender = Sender(i);
            var digest = SHA256.HashData(Encoding.UTF8.GetBytes(
                $"{id:D}{_timestamp}{population.SwarmIds[sender % Population.Swarms]:D}{Population.RecipientName(Recipient(i))}message{content}"));
            _ids[i] = id;
            _signatures[i] = SignatureAlgorithm.Ed25519.Sign(population.Keys[sender], digest);
            if ((Interlocked.Increment(ref done) & 0xfff) == 0)
            {
                progress?.Invoke(done);
            }
        });
    }

    /// <summary>How many of the first <paramref name="count"/> messages are to be what.</summary>
    public static int CountOf(Expected expected, int count) => Enumerable.Range(0, count).Count(i => ExpectedOf(i) == expected);

    public int Count => _ids.Length;

    /// <summary>What the node must answer to message <paramref name="i"/>.</summary>
    public static Expected ExpectedOf(int i) => (i % SpoiltEvery) switch
    {
        100 => Expected.Forged,
        SpoiltEvery - 1 => Expected.Duplicate,
        _ => Expected.Accepted,
    };

    /// <summary>Writes the whole HTTP request and returns its length.</summary>
    public int Write(int i, string host, Span<byte> buffer)
    {
        var expected = ExpectedOf(i);
        var source = expected == Expected.Duplicate ? i - 1 : i;
        Span<byte> signature = stackalloc byte[MessageSignature.SizeBytes];
        _signatures[source].CopyTo(signature);
        if (expected == Expected.Forged)
        {
            signature[10] ^= 1;
        }

        var head = _heads[Sender(source)];
        var recipient = _paths[Recipient(source)];
        var name = recipient.AsSpan("/agents/".Length, recipient.Length - "/agents/".Length - "/swarm/message".Length);
        const string Start = "{\"protocol_version\":\"0.1.0\",\"message_id\":\"";
        var length = Start.Length + 36 + head.Length + name.Length + _middle.Length + MessageSignature.TextLength + 2;

        var at = 0;
        at += Put(buffer[at..], "POST "u8);
        at += Put(buffer[at..], recipient);
        at += Put(buffer[at..], " HTTP/1.1\r\nHost: "u8);
        at += Encoding.ASCII.GetBytes(host, buffer[at..]);
        at += Put(buffer[at..], "\r\nContent-Type: application/json\r\nX-Swarm-Protocol: 0.1.0\r\nContent-Length: "u8);
        Utf8Formatter.TryFormat(length, buffer[at..], out var digits);
        at += digits;
        at += Put(buffer[at..], "\r\n\r\n"u8);
        at += Encoding.ASCII.GetBytes(Start, buffer[at..]);
        Utf8Formatter.TryFormat(_ids[source], buffer[at..], out var written, 'D');
        at += written;
        at += Put(buffer[at..], head);
        at += Put(buffer[at..], name);
        at += Put(buffer[at..], _middle);
        Base64.EncodeToUtf8(signature, buffer[at..], out _, out written);
        at += written;
        at += Put(buffer[at..], "\"}"u8);
        return at;
    }

    /// <summary>Writes the message as an item of a batch (Hub API, an external agent's own signature) and returns its length.</summary>
    public int WriteItem(int i, Span<byte> buffer)
    {
        var expected = ExpectedOf(i);
        var source = expected == Expected.Duplicate ? i - 1 : i;
        Span<byte> signature = stackalloc byte[MessageSignature.SizeBytes];
        _signatures[source].CopyTo(signature);
        if (expected == Expected.Forged)
        {
            signature[10] ^= 1;
        }

        var at = Put(buffer, _itemHeads[Sender(source)]);
        Utf8Formatter.TryFormat(_ids[source], buffer[at..], out var written, 'D');
        at += written;
        at += Put(buffer[at..], "\",\"to\":\""u8);
        var path = _paths[Recipient(source)];
        at += Put(buffer[at..], path.AsSpan("/agents/".Length, path.Length - "/agents/".Length - "/swarm/message".Length));
        at += Put(buffer[at..], _middle);
        Base64.EncodeToUtf8(signature, buffer[at..], out _, out written);
        at += written;
        at += Put(buffer[at..], "\"}"u8);
        return at;
    }

    /// <summary>The number of message <paramref name="i"/>'s sender.</summary>
    public static int Sender(int i) => i % Population.Senders;

    /// <summary>A recipient of the sender's own swarm.</summary>
    public static int Recipient(int i) => ((i / Population.Senders) * Population.Swarms + (i % Population.Swarms)) % Population.Recipients;

    /// <summary>What every message says.</summary>
    public static string Content() => string.Concat(Enumerable.Range(0, ContentLength).Select(i => (char)('a' + (i * 7 % 26))));

    private static int Put(Span<byte> buffer, ReadOnlySpan<byte> text)
    {
        text.CopyTo(buffer);
        return text.Length;
    }
}

/// <summary>What a message of the load is.</summary>
internal enum Expected
{
    Accepted,
    Duplicate,
    Forged,
}
