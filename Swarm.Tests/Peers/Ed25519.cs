using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;

namespace Peers;

/// <summary>
/// Ed25519 as RFC 8032 §5.1 writes it down, over whole numbers and nothing else: slow, not constant in time, for tests alone. It shares no code
/// with what the product signs and verifies by.
/// </summary>
internal static class Ed25519
{
    public const int SeedLength = 32;
    public const int KeyLength = 32;
    public const int SignatureLength = 64;

    private static readonly BigInteger P = BigInteger.Pow(2, 255) - 19;
    private static readonly BigInteger L = BigInteger.Pow(2, 252) + BigInteger.Parse("27742317777372353535851937790883648493", CultureInfo.InvariantCulture);
    private static readonly BigInteger D = Mod(-121665 * Inverse(121666));
    private static readonly BigInteger RootOfMinusOne = BigInteger.ModPow(2, (P - 1) / 4, P);
    private static readonly Point Base = FromY(Mod(4 * Inverse(5)), isOdd: false)!.Value;
    private static readonly Point Neutral = new(0, 1, 1, 0);

    public static byte[] PublicKeyOf(ReadOnlySpan<byte> seed) => Encode(Multiply(Expand(seed).Scalar, Base));

    public static byte[] Sign(ReadOnlySpan<byte> seed, ReadOnlySpan<byte> message)
    {
        var (scalar, prefix) = Expand(seed);
        var key = Encode(Multiply(scalar, Base));
        var r = Number(SHA512.HashData([.. prefix, .. message])) % L;
        var point = Encode(Multiply(r, Base));
        var k = Number(SHA512.HashData([.. point, .. key, .. message])) % L;
        return [.. point, .. Bytes((r + (k * scalar)) % L)];
    }

    public static bool Verify(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature)
    {
        if (key.Length != KeyLength || signature.Length != SignatureLength || Decode(key) is not { } a || Decode(signature[..32]) is not { } r)
        {
            return false;
        }

        var s = Number(signature[32..]);
        var k = Number(SHA512.HashData([.. signature[..32], .. key, .. message])) % L;
        return s < L && Encode(Multiply(s, Base)).AsSpan().SequenceEqual(Encode(Add(r, Multiply(k, a))));
    }

    private static (BigInteger Scalar, byte[] Prefix) Expand(ReadOnlySpan<byte> seed)
    {
        var hash = SHA512.HashData(seed);
        hash[0] &= 0xF8;
        hash[31] &= 0x7F;
        hash[31] |= 0x40;
        return (Number(hash.AsSpan(0, 32)), hash[32..]);
    }

    /// <summary>Extended coordinates: x = X/Z, y = Y/Z, xy = T/Z.</summary>
    private readonly record struct Point(BigInteger X, BigInteger Y, BigInteger Z, BigInteger T);

    private static Point Add(in Point p, in Point q)
    {
        var a = Mod((p.Y - p.X) * (q.Y - q.X));
        var b = Mod((p.Y + p.X) * (q.Y + q.X));
        var c = Mod(2 * p.T * Mod(q.T * D));
        var d = Mod(2 * p.Z * q.Z);
        var (e, f, g, h) = (b - a, d - c, d + c, b + a);
        return new(Mod(e * f), Mod(g * h), Mod(f * g), Mod(e * h));
    }

    private static Point Multiply(BigInteger scalar, Point point)
    {
        var sum = Neutral;
        for (; !scalar.IsZero; scalar >>= 1)
        {
            if (!scalar.IsEven)
            {
                sum = Add(sum, point);
            }

            point = Add(point, point);
        }

        return sum;
    }

    private static byte[] Encode(in Point point)
    {
        var z = Inverse(point.Z);
        var bytes = Bytes(Mod(point.Y * z));
        bytes[31] |= (byte)(Mod(point.X * z).IsEven ? 0 : 0x80);
        return bytes;
    }

    private static Point? Decode(ReadOnlySpan<byte> bytes)
    {
        var copy = bytes.ToArray();
        copy[31] &= 0x7F;
        var y = Number(copy);
        return y < P ? FromY(y, (bytes[31] & 0x80) != 0) : null;
    }

    private static Point? FromY(BigInteger y, bool isOdd)
    {
        var square = Mod((y * y) - 1) * Inverse(Mod((D * y * y) + 1)) % P;
        var x = BigInteger.ModPow(square, (P + 3) / 8, P);
        if (Mod(x * x) != square)
        {
            x = Mod(x * RootOfMinusOne);
        }

        if (Mod(x * x) != square || (x.IsZero && isOdd))
        {
            return null;
        }

        x = x.IsEven == isOdd ? P - x : x;
        return new(x, y, 1, Mod(x * y));
    }

    private static BigInteger Inverse(BigInteger x) => BigInteger.ModPow(x, P - 2, P);

    private static BigInteger Mod(BigInteger x) => x % P is var rest && rest.Sign < 0 ? rest + P : rest;

    private static BigInteger Number(ReadOnlySpan<byte> littleEndian) => new(littleEndian, isUnsigned: true);

    private static byte[] Bytes(BigInteger number)
    {
        var bytes = new byte[32];
        number.TryWriteBytes(bytes, out _, isUnsigned: true);
        return bytes;
    }
}
