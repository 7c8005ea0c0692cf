using System.Buffers.Binary;

namespace NSec.Cryptography;

/// <summary>
/// What libsodium 1.0.18–1.0.22 refuses and OpenSSL does not: small-order A and R, and A with y ≥ p. S ≥ L is refused by both;
/// it is checked here too because that is cheaper. All inputs are public, so the time may depend on them.
/// </summary>
internal static class Strictness
{
    private const ulong SignBit = 0x8000_0000_0000_0000;

    // The encodings of y for points of order 1, 2, 4 and 8, canonical or not, as little-endian words.
    private static readonly Words[] SmallOrder =
    [
        new(0, 0, 0, 0),
        new(1, 0, 0, 0),
        new(0xb027b2c28f95e826, 0xf098eff289f4c345, 0x3933c6d305acdfd5, 0x05fc536d880238b1),
        new(0x4fd84d3d706a17c7, 0x0f67100d760b3cba, 0xc6cc392cfa53202a, 0x7a03ac9277fdc74e),
        new(0xffffffffffffffec, ulong.MaxValue, ulong.MaxValue, 0x7fffffffffffffff),
        new(0xffffffffffffffed, ulong.MaxValue, ulong.MaxValue, 0x7fffffffffffffff),
        new(0xffffffffffffffee, ulong.MaxValue, ulong.MaxValue, 0x7fffffffffffffff),
    ];

    /// <summary>True for a 32-byte key that verification may be asked about.</summary>
    public static bool AllowsKey(ReadOnlySpan<byte> key)
    {
        Words y = Read(key) with { W3 = BinaryPrimitives.ReadUInt64LittleEndian(key[24..]) & ~SignBit };
        bool canonical = !(y.W0 >= 0xffffffffffffffed && y.W1 == ulong.MaxValue && y.W2 == ulong.MaxValue && y.W3 == 0x7fffffffffffffff);
        return canonical && !IsSmallOrder(y);
    }

    /// <summary>True for a 64-byte signature (R, S) that verification may be asked about.</summary>
    public static bool Allows(ReadOnlySpan<byte> signature)
    {
        Words r = Read(signature);
        return IsBelowOrder(Read(signature[32..])) && !IsSmallOrder(r with { W3 = r.W3 & ~SignBit });
    }

    // L = 2^252 + 27742317777372353535851937790883648493
    private static bool IsBelowOrder(Words s)
    {
        const ulong L3 = 0x1000000000000000;
        const ulong L1 = 0x14def9dea2f79cd6;
        const ulong L0 = 0x5812631a5cf5d3ed;
        if (s.W3 != L3)
        {
            return s.W3 < L3;
        }

        return s.W2 == 0 && (s.W1 < L1 || (s.W1 == L1 && s.W0 < L0));
    }

    private static bool IsSmallOrder(Words y)
    {
        foreach (ref readonly Words point in SmallOrder.AsSpan())
        {
            if (point == y)
            {
                return true;
            }
        }

        return false;
    }

    private static Words Read(ReadOnlySpan<byte> bytes) => new(
        BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]),
        BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]));

    private readonly record struct Words(ulong W0, ulong W1, ulong W2, ulong W3);
}
