using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Swarm.Tests.Conformance;

/// <summary>One exchange between two reference peers, as a recorder between them saw it: the request's bytes, and the answer's.</summary>
internal sealed partial record CaptureFile(string Name, DateTimeOffset At, byte[] Request, byte[] Answer)
{
    /// <summary>To whom: <c>agent-a</c> in <c>to-agent-a-0001.txt</c>.</summary>
    public string Agent => Name[3..Name.LastIndexOf('-')];

    public string Path => Encoding.ASCII.GetString(Request).Split(' ', 3)[1];

    /// <summary>The body of the request.</summary>
    public byte[] Body => BodyOf(Request);

    public int Status => int.Parse(Encoding.ASCII.GetString(Answer).Split(' ', 3)[1], CultureInfo.InvariantCulture);

    public JsonElement Json => JsonElement.Parse(BodyOf(Answer));

    /// <summary>Who asks to be admitted; null where nobody does.</summary>
    public string? Joiner => Path == "/swarm/join" ? JsonElement.Parse(Body).GetProperty("sender").GetProperty("agent_id").GetString() : null;

    /// <summary>All of a protocol in the order of time.</summary>
    public static IReadOnlyList<CaptureFile> ReadAll(string protocol) =>
        [.. Directory.EnumerateFiles(System.IO.Path.Combine(AppContext.BaseDirectory, "Conformance", "captures", protocol), "*.txt")
            .Select(Read).OrderBy(c => c.At)];

    private static CaptureFile Read(string path)
    {
        // Latin-1 keeps every byte a character; the recorder's lines say how many bytes follow.
        var text = Encoding.Latin1.GetString(File.ReadAllBytes(path));
        var (request, answer) = (new StringBuilder(), new StringBuilder());
        DateTimeOffset? at = null;
        for (var line = Line().Match(text); line.Success; line = Line().Match(text, line.Index + line.Length))
        {
            at ??= DateTimeOffset.Parse(line.Groups[2].Value, CultureInfo.InvariantCulture);
            var start = line.Index + line.Length;
            (line.Groups[1].Value == "CLIENT->SERVER" ? request : answer)
                .Append(text.AsSpan(start, int.Parse(line.Groups[3].Value, CultureInfo.InvariantCulture)));
        }

        return new(System.IO.Path.GetFileNameWithoutExtension(path), at!.Value, Encoding.Latin1.GetBytes(request.ToString()), Encoding.Latin1.GetBytes(answer.ToString()));
    }

    /// <summary>What follows the head of a request or an answer.</summary>
    public static byte[] BodyOf(byte[] http) => http[(http.AsSpan().IndexOf("\r\n\r\n"u8) + 4)..];

    [GeneratedRegex(@"=====\[(CLIENT->SERVER|SERVER->CLIENT) (\S+) (\d+) bytes\]=====\n")]
    private static partial Regex Line();
}

/// <summary>The swarm that the recorded peers of the Agent Swarm Protocol had: agent-a is its master, agent-b and agent-c join.</summary>
internal sealed partial record RecordedSwarm(
    IReadOnlyList<CaptureFile> Captures, string SwarmId, string Name, IReadOnlyList<(string Name, string Endpoint, string PublicKey)> Members)
{
    public static RecordedSwarm Read()
    {
        var captures = CaptureFile.ReadAll("agent-swarm");
        var joined = captures.Last(c => c.Joiner is not null).Json;
        return new(
            captures, joined.GetProperty("swarm_id").GetString()!, joined.GetProperty("swarm_name").GetString()!,
            [.. joined.GetProperty("members").EnumerateArray().Select(m => (
                m.GetProperty("agent_id").GetString()!, m.GetProperty("endpoint").GetString()!, m.GetProperty("public_key").GetString()!))]);
    }

    /// <summary>An answer without what differs from run to run: when a server received or admitted, and the ids of its own notices.</summary>
    public static string Normalise(JsonElement json)
    {
        var text = ReceivedAt().Replace(json.GetRawText(), "$1<time>");
        return NoticeId().Replace(JoinedAt().Replace(text, "$1<time>"), "$1<id>$2");
    }

    [GeneratedRegex("(\"(?:received_at|read_at)\":\")[^\"]+")]
    private static partial Regex ReceivedAt();

    [GeneratedRegex(@"(joined_at\\"": \\"")[^\\]+")]
    private static partial Regex JoinedAt();

    [GeneratedRegex("(\"message_id\":\")[^\"]+(\"[^}]*\"recipient_id\":null)")]
    private static partial Regex NoticeId();
}
