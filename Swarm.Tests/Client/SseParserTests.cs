using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Swarm.Client;

namespace Swarm.Tests.Client;

public sealed class SseParserTests
{
    [Theory]
    [InlineData("data: one\n\n", "message|one|")]
    [InlineData("data:one\n\n", "message|one|")]
    [InlineData("data:  one\n\n", "message| one|")]
    [InlineData("data: one\ndata: two\n\n", "message|one\ntwo|")]
    [InlineData("data\n\n", "message||")]
    [InlineData("data:\ndata:\n\n", "message|\n|")]
    [InlineData("event: reset\nid: 7\ndata: {}\n\n", "reset|{}|7")]
    [InlineData("id: 7\ndata: a\n\ndata: b\n\n", "message|a|7", "message|b|7")]
    [InlineData("id: 7\ndata: a\n\nid\ndata: b\n\n", "message|a|7", "message|b|")]
    [InlineData("event: x\n\ndata: a\n\n", "message|a|")]
    [InlineData(": heartbeat\n\ndata: a\n\n", "message|a|")]
    [InlineData("unknown: x\nDATA: y\ndata: a\n\n", "message|a|")]
    [InlineData("\uFEFFdata: a\n\n", "message|a|")]
    [InlineData("data: a\r\rdata: b\r\n\r\ndata: c\n\n", "message|a|", "message|b|", "message|c|")]
    [InlineData("id: 1\0\ndata: a\n\n", "message|a|")]
    [InlineData("data: never ended\n")]
    public void Reads_what_the_standard_says(string stream, params string[] expected) =>
        Assert.Equal(expected, Parse([Encoding.UTF8.GetBytes(stream)]).Select(Show));

    [Fact]
    public void An_id_without_data_moves_the_position_and_gives_no_event()
    {
        var parser = new SseParser();
        var events = new List<SseEvent>();
        parser.Feed("id: 41\n\n"u8, events);
        Assert.Empty(events);
        Assert.Equal("41", parser.LastId);
    }

    [Fact]
    public void An_id_counts_only_once_its_event_is_complete()
    {
        var parser = new SseParser();
        var events = new List<SseEvent>();
        parser.Feed("id: 41\ndata: x\n\nid: 42\ndata: y\n"u8, events);
        Assert.Equal("41", parser.LastId);
    }

    [Theory]
    [InlineData("retry: 250\n", 250)]
    [InlineData("retry: 25x\n", null)]
    [InlineData("retry: -1\n", null)]
    public void Retry_is_digits_or_nothing(string stream, int? milliseconds)
    {
        var parser = new SseParser();
        parser.Feed(Encoding.UTF8.GetBytes(stream), new List<SseEvent>());
        Assert.Equal(milliseconds, parser.Retry?.TotalMilliseconds is { } value ? (int)value : null);
    }

    [Fact]
    public void An_event_at_the_limit_is_read_and_one_byte_more_is_refused()
    {
        const int Limit = 100;
        var atLimit = Encoding.UTF8.GetBytes("data:" + new string('x', Limit - 5) + "\n\n");
        var over = Encoding.UTF8.GetBytes("data:" + new string('x', Limit - 4) + "\n\n");
        var events = new List<SseEvent>();
        new SseParser(Limit).Feed(atLimit, events);
        Assert.Single(events);
        Assert.Throws<SseLimitException>(() => new SseParser(Limit).Feed(over, events));
    }

    [Fact]
    public void Heartbeats_never_add_up_to_the_limit()
    {
        var parser = new SseParser(100);
        var events = new List<SseEvent>();
        for (var i = 0; i < 1_000; i++)
        {
            parser.Feed(": heartbeat\n"u8, events);
        }

        parser.Feed("data: x\n\n"u8, events);
        Assert.Single(events);
    }

    [Fact]
    public void However_the_stream_is_cut_and_whatever_ends_its_lines_the_events_are_the_same()
    {
        var lines = Gen.Elements("", "a", "two words", " lead", "with: colon", "é", "שלום", "👩‍💻", "{\"seq\":1}", "tab\tinside");
        var events =
            from type in Gen.Elements("message", "reset", "é")
            from id in Gen.Choose(0, 99)
            from data in lines.NonEmptyListOf()
            select (type, id, data: data.ToArray());
        var streams =
            from list in events.ListOf()
            from ends in Gen.Elements("\n", "\r", "\r\n").ArrayOf(64)
            from cuts in Gen.Choose(1, 9).ArrayOf(400)
            from comment in Gen.Elements("", ": heartbeat")
            select (list: list.ToArray(), ends, cuts, comment);
        Prop.ForAll(streams.ToArbitrary(), stream =>
        {
            var at = 0;
            string End() => stream.ends[at++ % stream.ends.Length];
            var text = new StringBuilder();
            foreach (var (type, id, data) in stream.list)
            {
                text.Append(stream.comment).Append(stream.comment.Length > 0 ? End() : "");
                text.Append("id: ").Append(id).Append(End()).Append("event: ").Append(type).Append(End());
                foreach (var line in data)
                {
                    text.Append("data: ").Append(line).Append(End());
                }

                // A lone CR that is followed by a lone LF would be one line end, so the blank line ends as the line before it.
                var blank = text[^1] == '\r' ? "\r" : "\n";
                text.Append(blank).Append(blank == "\r" ? ":\n" : "");
            }

            var expected = stream.list.Select(item => $"{item.type}|{string.Join('\n', item.data)}|{item.id}");
            return Parse(Cut(Encoding.UTF8.GetBytes(text.ToString()), stream.cuts)).Select(Show).SequenceEqual(expected);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
    }

    [Fact]
    public void Any_bytes_in_any_pieces_give_what_they_give_in_one_piece()
    {
        var bytes = Gen.Elements(
            (byte)'\n',
            (byte)'\r',
            (byte)':',
            (byte)' ',
            (byte)'d',
            (byte)'a',
            (byte)'t',
            (byte)'i',
            (byte)0,
            (byte)0xC3,
            (byte)0xA9,
            (byte)0xFF);
        var words = Gen.OneOf(
            bytes.Select(one => new[] { one }),
            Gen.Elements("data:", "data: x\n\n", "id: 5\n", "event: e\r\n", "\uFEFF", "retry: 3\n").Select(Encoding.UTF8.GetBytes));
        var inputs =
            from parts in words.ArrayOf()
            from cuts in Gen.Choose(1, 5).ArrayOf(50)
            select (all: parts.SelectMany(part => part).ToArray(), cuts);
        Prop.ForAll(inputs.ToArbitrary(), input =>
            Parse(Cut(input.all, input.cuts)).SequenceEqual(Parse([input.all]))).Check(Config.QuickThrowOnFailure.WithMaxTest(1_000));
    }

    private static List<SseEvent> Parse(IEnumerable<byte[]> chunks)
    {
        var parser = new SseParser();
        var events = new List<SseEvent>();
        foreach (var chunk in chunks)
        {
            parser.Feed(chunk, events);
        }

        return events;
    }

    private static IEnumerable<byte[]> Cut(byte[] bytes, int[] lengths)
    {
        for (int at = 0, i = 0; at < bytes.Length; i++)
        {
            var length = Math.Min(lengths[i % lengths.Length], bytes.Length - at);
            yield return bytes[at..(at + length)];
            at += length;
        }
    }

    private static string Show(SseEvent item) => $"{item.Type}|{item.Data}|{item.LastId}";
}
