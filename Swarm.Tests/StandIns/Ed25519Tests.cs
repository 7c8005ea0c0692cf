using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using NSec.Cryptography;

namespace Swarm.Tests.StandIns;

/// <summary>What NSec.Cryptography does, whichever of the two packages it is.</summary>
public sealed class Ed25519Tests
{
    private static readonly Ed25519 Algorithm = SignatureAlgorithm.Ed25519;

    public static TheoryData<string, string, string, string, bool> EdgeCases()
    {
        var data = new TheoryData<string, string, string, string, bool>();
        string file = Path.Combine(AppContext.BaseDirectory, "Conformance", "vectors", "ed25519-edge.json");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(file));
        foreach (JsonElement item in json.RootElement.GetProperty("cases").EnumerateArray())
        {
            string Text(string name) => item.GetProperty(name).GetString()!;
            data.Add(Text("id"), Text("publicKey"), Text("message"), Text("signature"), item.GetProperty("libsodium").GetBoolean());
        }

        Assert.Equal(22, data.Count);
        return data;
    }

    [Theory]
    [MemberData(nameof(EdgeCases))]
    public void Edge_cases_get_the_answer_of_libsodium(string id, string publicKey, string message, string signature, bool accepted)
    {
        PublicKey key = PublicKey.Import(Algorithm, Convert.FromHexString(publicKey), KeyBlobFormat.RawPublicKey);

        Assert.True(accepted == Algorithm.Verify(key, Convert.FromHexString(message), Convert.FromHexString(signature)), $"case {id}");
    }

    [Theory]
    [InlineData("Libcrypto", "Handle")]
    [InlineData("Libsodium", "Bytes")]
    public void Whichever_library_verifies_the_answers_are_the_same(string library, string form)
    {
        var engine = typeof(Ed25519).Assembly.GetType($"NSec.Cryptography.{library}");
        if (engine is null || engine.GetProperty("IsUsable")?.GetValue(null) is false)
        {
            return; // The real package, or a machine without that library: nothing uses it there.
        }

        var strictness = typeof(Ed25519).Assembly.GetType("NSec.Cryptography.Strictness")!;
        var allows = strictness.GetMethod("Allows")!.CreateDelegate<Test>();
        var allowsKey = strictness.GetMethod("AllowsKey")!.CreateDelegate<Test>();
        bool Verify(byte[] key, byte[] data, byte[] signature)
        {
            if (!allows(signature) || !allowsKey(key))
            {
                return false;
            }

            if (form == "Bytes")
            {
                return engine.GetMethod("Verify")!.CreateDelegate<VerifyBytes>()(key, data, signature);
            }

            using var handle = (SafeHandle)engine.GetMethod("ImportPublicKey")!.CreateDelegate<Import>()(key);
            return engine.GetMethod("Verify")!.CreateDelegate<VerifyHandle>()(handle.DangerousGetHandle(), data, signature);
        }

        foreach (var row in EdgeCases())
        {
            var (id, key, data, signature, accepted) = ((string)row[0], Hex(row[1]), Hex(row[2]), Hex(row[3]), (bool)row[4]);
            Assert.True(accepted == Verify(key, data, signature), $"{library}, case {id}");
        }

        var random = new Random(8032);
        for (var n = 0; n < 200; n++)
        {
            using var key = Key.Create(Algorithm);
            var data = new byte[random.Next(0, 300)];
            random.NextBytes(data);
            var signature = Algorithm.Sign(key, data);
            var point = key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
            Assert.True(Verify(point, data, signature));
            var wrong = random.Next(3) switch { 0 => point, 1 => signature, _ => data };
            if (wrong.Length > 0)
            {
                wrong[random.Next(wrong.Length)] ^= (byte)(1 << random.Next(8));
                Assert.False(Verify(point, data, signature));
            }
        }
    }

    private delegate bool Test(ReadOnlySpan<byte> bytes);

    private delegate object Import(ReadOnlySpan<byte> bytes);

    private delegate bool VerifyBytes(ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature);

    private delegate bool VerifyHandle(nint key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature);

    private static byte[] Hex(object text) => Convert.FromHexString((string)text);

    [Fact]
    public void Signs_as_RFC_8032_says()
    {
        // RFC 8032 §7.1, test 2
        using Key key = Key.Import(
            Algorithm, Convert.FromHexString("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"), KeyBlobFormat.RawPrivateKey);

        Assert.Equal("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", Hex(key.PublicKey.Export(KeyBlobFormat.RawPublicKey)));
        Assert.Equal(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            Hex(Algorithm.Sign(key, [0x72])));
    }

    [Fact]
    public void A_change_of_any_bit_of_a_signature_or_message_makes_it_invalid()
    {
        using Key key = Key.Create(Algorithm);
        byte[] message = RandomNumberGenerator.GetBytes(32);
        byte[] signature = Algorithm.Sign(key, message);
        Assert.True(Algorithm.Verify(key.PublicKey, message, signature));

        foreach (byte[] bytes in new[] { message, signature })
        {
            for (int bit = 0; bit < bytes.Length * 8; bit++)
            {
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.False(Algorithm.Verify(key.PublicKey, message, signature), $"bit {bit}");
                bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }

        Assert.True(Algorithm.Verify(key.PublicKey, message, signature));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(65)]
    public void A_signature_of_another_length_does_not_verify_and_cannot_be_written(int length)
    {
        using Key key = Key.Create(Algorithm);

        Assert.False(Algorithm.Verify(key.PublicKey, [1], new byte[length]));
        Assert.Throws<ArgumentException>(() => Algorithm.Sign(key, [1], new byte[length]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    [InlineData(33)]
    [InlineData(64)]
    public void A_key_of_another_length_is_a_format_error(int length)
    {
        byte[] blob = new byte[length];

        Assert.Throws<FormatException>(() => PublicKey.Import(Algorithm, blob, KeyBlobFormat.RawPublicKey));
        Assert.Throws<FormatException>(() => Key.Import(Algorithm, blob, KeyBlobFormat.RawPrivateKey));
        Assert.False(PublicKey.TryImport(Algorithm, blob, KeyBlobFormat.RawPublicKey, out _));
        Assert.False(Key.TryImport(Algorithm, blob, KeyBlobFormat.RawPrivateKey, out _));
    }

    [Fact]
    public void A_format_of_the_other_kind_is_an_argument_error()
    {
        byte[] blob = new byte[32];

        Assert.Throws<ArgumentException>(() => PublicKey.TryImport(Algorithm, blob, KeyBlobFormat.RawPrivateKey, out _));
        Assert.Throws<ArgumentException>(() => Key.TryImport(Algorithm, blob, KeyBlobFormat.RawPublicKey, out _));
    }

    [Fact]
    public void A_key_belongs_to_its_instance_of_the_algorithm()
    {
        using Key key = Key.Create(Algorithm);
        var other = new Ed25519();
        byte[] signature = Algorithm.Sign(key, [1]);

        Assert.Throws<ArgumentException>(() => other.Sign(key, [1]));
        Assert.Throws<ArgumentException>(() => other.Verify(key.PublicKey, [1], signature));
        Assert.Same(Algorithm, SignatureAlgorithm.Ed25519);
    }

    [Fact]
    public void A_secret_leaves_its_key_only_as_the_policy_allows()
    {
        byte[] seed = RandomNumberGenerator.GetBytes(32);
        using Key closed = Key.Import(Algorithm, seed, KeyBlobFormat.RawPrivateKey);
        using Key archived = Key.Import(
            Algorithm, seed, KeyBlobFormat.RawPrivateKey, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextArchiving });
        using Key open = Key.Import(
            Algorithm, seed, KeyBlobFormat.RawPrivateKey, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });

        Assert.Throws<InvalidOperationException>(() => closed.Export(KeyBlobFormat.RawPrivateKey));
        Assert.Equal(seed, archived.Export(KeyBlobFormat.RawPrivateKey));
        Assert.Throws<InvalidOperationException>(() => archived.Export(KeyBlobFormat.RawPrivateKey));
        Assert.Equal(seed, open.Export(KeyBlobFormat.RawPrivateKey));
        Assert.Equal(seed, open.Export(KeyBlobFormat.RawPrivateKey));
        Assert.Equal(closed.PublicKey.Export(KeyBlobFormat.RawPublicKey), closed.Export(KeyBlobFormat.RawPublicKey));
    }

    [Fact]
    public void A_disposed_key_signs_nothing_and_its_public_key_goes_on()
    {
        Key key = Key.Create(Algorithm);
        byte[] signature = Algorithm.Sign(key, [1]);
        key.Dispose();

        Assert.Throws<ObjectDisposedException>(() => Algorithm.Sign(key, [1]));
        Assert.True(Algorithm.Verify(key.PublicKey, [1], signature));
    }

    [Fact]
    public void Public_keys_are_equal_by_value_and_private_ones_are_not()
    {
        byte[] seed = RandomNumberGenerator.GetBytes(32);
        using Key one = Key.Import(Algorithm, seed, KeyBlobFormat.RawPrivateKey);
        using Key two = Key.Import(Algorithm, seed, KeyBlobFormat.RawPrivateKey);

        Assert.Equal(one.PublicKey, two.PublicKey);
        Assert.Equal(one.PublicKey.GetHashCode(), two.PublicKey.GetHashCode());
        Assert.NotEqual(one, two);
        Assert.Equal(typeof(Key).ToString(), one.ToString());
    }

    [Fact]
    public void Threads_that_verify_side_by_side_do_not_disturb_each_other()
    {
        Key[] keys = [.. Enumerable.Range(0, 16).Select(_ => Key.Create(Algorithm))];
        byte[][] signatures = [.. keys.Select((key, i) => Algorithm.Sign(key, [(byte)i]))];

        Parallel.For(0, 2000, i =>
        {
            int mine = i % keys.Length;
            int other = (i + 1) % keys.Length;
            Assert.True(Algorithm.Verify(keys[mine].PublicKey, [(byte)mine], signatures[mine]));
            Assert.False(Algorithm.Verify(keys[other].PublicKey, [(byte)mine], signatures[mine]));
            Assert.Equal(signatures[mine], Algorithm.Sign(keys[mine], [(byte)mine]));
        });

        Array.ForEach(keys, key => key.Dispose());
    }

    [Fact]
    public void Verification_allocates_nothing()
    {
        using Key key = Key.Create(Algorithm);
        byte[] signature = Algorithm.Sign(key, [1]);
        bool valid = Algorithm.Verify(key.PublicKey, [1], signature);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            valid &= Algorithm.Verify(key.PublicKey, [1], signature);
        }

        Assert.True(valid);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 100, "fewer bytes than calls");
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
