using System.Buffers;
using System.Text;
using StackExchange.Redis.Resp;

namespace Swarm.Tests.StandIns;

public sealed class RespReaderTests
{
    private const int Seed = 20261121;

    [Fact]
    public void Whatever_is_written_is_read_back_however_it_is_cut()
    {
        var random = new Random(Seed);
        for (int round = 0; round < 500; round++)
        {
            List<RespNode> expected = [];
            var bytes = new ArrayBufferWriter<byte>();
            for (int i = random.Next(1, 5); i > 0; i--)
            {
                expected.Add(RandomNode(random, bytes, depth: 0));
            }

            ReadOnlySequence<byte> input = Cut(bytes.WrittenSpan.ToArray(), random);
            foreach (RespNode node in expected)
            {
                Assert.True(RespReader.TryRead(ref input, out RespNode actual), $"seed {Seed}, round {round}");
                Assert.Equal(Print(node), Print(actual));
            }

            Assert.True(input.IsEmpty);
        }
    }

    [Fact]
    public void Every_true_prefix_asks_for_more_and_consumes_nothing()
    {
        var random = new Random(Seed + 1);
        for (int round = 0; round < 100; round++)
        {
            var bytes = new ArrayBufferWriter<byte>();
            RandomNode(random, bytes, depth: 0);
            for (int length = 0; length < bytes.WrittenCount; length++)
            {
                var prefix = new ReadOnlySequence<byte>(bytes.WrittenMemory[..length]);
                Assert.False(RespReader.TryRead(ref prefix, out _), $"seed {Seed + 1}, round {round}, {length} of {bytes.WrittenCount} bytes");
                Assert.Equal(length, prefix.Length);
            }
        }
    }

    [Fact]
    public void Random_bytes_are_read_refused_or_wait_for_more_and_nothing_else()
    {
        var random = new Random(Seed + 2);
        int[] outcomes = new int[3];
        byte[] alphabet = Encoding.ASCII.GetBytes("+-:$*\r\n0123456789ab\0\xff");
        for (int round = 0; round < 200_000; round++)
        {
            byte[] bytes = random.GetItems(alphabet, random.Next(1, 24));
            var input = new ReadOnlySequence<byte>(bytes);
            try
            {
                outcomes[RespReader.TryRead(ref input, out _) ? 0 : 1]++;
            }
            catch (RespException)
            {
                outcomes[2]++;
            }
        }

        Assert.All(outcomes, count => Assert.True(count > 100, string.Join(' ', outcomes)));
    }

    [Theory]
    [InlineData("?1\r\n")]
    [InlineData(":\r\n")]
    [InlineData(":1x\r\n")]
    [InlineData(":99999999999999999999\r\n")]
    [InlineData("$-2\r\n")]
    [InlineData("$67108865\r\n")]
    [InlineData("$1\r\nab\r\n")]
    [InlineData("*1048577\r\n")]
    [InlineData("$4294967299\r\n")]
    public void Malformed_or_oversized_input_is_refused(string text) =>
        Assert.Throws<RespException>(() => Read(text));

    [Fact]
    public void Limits_hold_at_the_limit_and_break_one_past_it()
    {
        Assert.True(Read('+' + new string('a', RespReader.LineBytesMax) + "\r\n"));
        Assert.Throws<RespException>(() => Read('+' + new string('a', RespReader.LineBytesMax + 1) + "\r\n"));
        Assert.Throws<RespException>(() => Read('+' + new string('a', RespReader.LineBytesMax + 2)));

        Assert.True(Read(string.Concat(Enumerable.Repeat("*1\r\n", RespReader.DepthMax)) + ":1\r\n"));
        Assert.Throws<RespException>(() => Read(string.Concat(Enumerable.Repeat("*1\r\n", RespReader.DepthMax + 1)) + ":1\r\n"));

        Assert.False(Read($"${RespReader.BulkBytesMax}\r\n"));
        Assert.False(Read($"*{RespReader.ItemsMax}\r\n"));
    }

    private static bool Read(string text)
    {
        var input = new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(text));
        return RespReader.TryRead(ref input, out _);
    }

    private static RespNode RandomNode(Random random, ArrayBufferWriter<byte> output, int depth)
    {
        void Text(string text) => output.Write(Encoding.ASCII.GetBytes(text));
        switch (random.Next(depth < 3 ? 8 : 6))
        {
            case 0:
                Text("+OK\r\n");
                return new RespNode(RespKind.Simple, "OK"u8.ToArray());
            case 1:
                Text("-ERR no\r\n");
                return new RespNode(RespKind.Error, "ERR no"u8.ToArray());
            case 2:
                long number = random.NextInt64(long.MinValue, long.MaxValue);
                Text($":{number}\r\n");
                return new RespNode(RespKind.Integer, Number: number);
            case 3:
                Text("$-1\r\n");
                return new RespNode(RespKind.Bulk);
            case 4:
                Text("*-1\r\n");
                return new RespNode(RespKind.Array);
            case 5:
                byte[] bytes = random.GetItems("\r\n$*:a\0"u8.ToArray(), random.Next(40));
                Text($"${bytes.Length}\r\n");
                output.Write(bytes);
                Text("\r\n");
                return new RespNode(RespKind.Bulk, bytes);
            default:
                var items = new RespNode[random.Next(4)];
                Text($"*{items.Length}\r\n");
                for (int i = 0; i < items.Length; i++)
                {
                    items[i] = RandomNode(random, output, depth + 1);
                }

                return new RespNode(RespKind.Array, Items: items);
        }
    }

    private static ReadOnlySequence<byte> Cut(byte[] bytes, Random random)
    {
        var first = new Segment(ReadOnlyMemory<byte>.Empty, 0);
        Segment last = first;
        for (int at = 0; at < bytes.Length;)
        {
            int length = Math.Min(random.Next(1, 8), bytes.Length - at);
            last = last.Append(bytes.AsMemory(at, length));
            at += length;
        }

        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private static string Print(in RespNode node) =>
        $"{node.Kind} {node.Number} {(node.Bytes is null ? "null" : Convert.ToHexString(node.Bytes))} "
        + (node.Items is null ? "null" : "[" + string.Join(", ", node.Items.Select(item => Print(item))) + "]");

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, long index)
        {
            Memory = memory;
            RunningIndex = index;
        }

        public Segment Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Segment(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}
