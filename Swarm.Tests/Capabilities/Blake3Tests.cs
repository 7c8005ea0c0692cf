using System.Text;
using System.Text.Json;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Capabilities;

/// <summary>The published BLAKE3 vectors, and that every number of lanes computes the same function.</summary>
[Shown(By.Unit)]
public sealed class Blake3Tests(ITestOutputHelper output)
{
    private static readonly int[] Lanes = [1, 4, 8];

    [Fact]
    [Conforms("A1-01")]
    public void The_published_vectors_hold_in_every_mode_length_and_number_of_lanes()
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Conformance", "vectors", "blake3.json")));
        var key = Encoding.ASCII.GetBytes(file.RootElement.GetProperty("key").GetString()!);
        var derivation = new DerivationContext(file.RootElement.GetProperty("context_string").GetString()!);
        var cases = file.RootElement.GetProperty("cases").EnumerateArray().ToArray();
        Assert.Equal(22, cases.Length);
        foreach (var one in cases)
        {
            var input = Pattern(one.GetProperty("input_len").GetInt32());
            foreach (var length in new[] { Blake3.SizeBytes, one.GetProperty("hash").GetString()!.Length / 2 })
            {
                string Expected(string mode) => one.GetProperty(mode).GetString()![..(2 * length)];
                var made = new byte[length];
                Blake3.Hash(input, made);
                Assert.Equal(Expected("hash"), Convert.ToHexStringLower(made));
                Blake3.KeyedHash(key, input, made);
                Assert.Equal(Expected("keyed_hash"), Convert.ToHexStringLower(made));
                derivation.Derive(input, made);
                Assert.Equal(Expected("derive_key"), Convert.ToHexStringLower(made));
                foreach (var lanes in Lanes)
                {
                    Assert.Equal(Expected("hash"), Convert.ToHexStringLower(Hash(input, lanes, length)));
                }
            }
        }
    }

    [Fact]
    [Conforms("A1-01")]
    public void Vectors_and_scalars_give_the_same_hash_for_every_length()
    {
        var random = new Random(Seed.Take(output));
        // Around every number of chunks that takes another way, then anywhere.
        var lengths = Enumerable.Range(0, 35).SelectMany(chunks => new[] { (chunks * 1024) - 1, chunks * 1024, (chunks * 1024) + 1 })
            .Where(length => length >= 0).Concat(Enumerable.Range(0, 50).Select(_ => random.Next(80_000)));
        foreach (var length in lengths)
        {
            var input = new byte[length];
            random.NextBytes(input);
            var scalar = Hash(input, 1, 100);
            Assert.All(Lanes, lanes => Assert.Equal(scalar, Hash(input, lanes, 100)));
            var made = new byte[32];
            Blake3.Hash(input, made);
            Assert.Equal(scalar[..32], made);
        }
    }

    [Fact]
    public void Every_bit_of_input_and_key_counts()
    {
        var random = new Random(Seed.Take(output));
        foreach (var length in new[] { 1, 64, 1024, 1025, 9 * 1024, 40_000 })
        {
            var input = new byte[length];
            var key = new byte[32];
            random.NextBytes(input);
            random.NextBytes(key);
            byte[] first = new byte[32], second = new byte[32];
            Blake3.KeyedHash(key, input, first);
            input[random.Next(length)] ^= (byte)(1 << random.Next(8));
            Blake3.KeyedHash(key, input, second);
            Assert.NotEqual(first, second);
            key[random.Next(32)] ^= (byte)(1 << random.Next(8));
            Blake3.KeyedHash(key, input, first);
            Assert.NotEqual(first, second);
        }
    }

    [Fact]
    public void Hashing_allocates_nothing()
    {
        var input = Pattern(20_000);
        var made = new byte[32];
        var context = new DerivationContext("a test of allocations");
        Hash();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Hash();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Hash()
        {
            Blake3.Hash(input.AsSpan(0, 200), made);
            Blake3.Hash(input, made);
            context.Derive(input, made);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    [InlineData(33)]
    public void A_key_has_32_bytes(int length) => Assert.Throws<ArgumentException>(() => Blake3.KeyedHash(new byte[length], "x"u8, new byte[32]));

    private static byte[] Pattern(int length) => [.. Enumerable.Range(0, length).Select(i => (byte)(i % 251))];

    private static byte[] Hash(byte[] input, int lanes, int length)
    {
        var made = new byte[length];
        Blake3.Run(Compression.InitialValue, Blake3.Mode.Hash, input, made, lanes);
        return made;
    }
}
