using System.Buffers.Binary;
using System.Collections.Concurrent;
using NSec.Cryptography;

namespace Swarm.Core.Identity;

/// <summary>
/// Parsed Ed25519 keys, kept because parsing costs as much as a tenth of a verification. The same 32 bytes always give the same object.
/// </summary>
public sealed class PublicKeys
{
    /// <summary>The most keys that are kept; above it the cache starts again.</summary>
    public const int KeysMax = 100_000;

    /// <summary>The length of a raw Ed25519 public key, in bytes.</summary>
    public const int LengthBytes = 32;

    // y of the points of order 1, 2, 4 and 8, as little-endian words; -1 and the two above it stand in IsSound.
    private static readonly UInt256[] SmallOrder =
    [
        new(0, 0, 0, 0),
        new(1, 0, 0, 0),
        new(0xb027b2c28f95e826, 0xf098eff289f4c345, 0x3933c6d305acdfd5, 0x05fc536d880238b1),
        new(0x4fd84d3d706a17c7, 0x0f67100d760b3cba, 0xc6cc392cfa53202a, 0x7a03ac9277fdc74e),
    ];

    private readonly ConcurrentDictionary<UInt256, PublicKey> _keys = new();
    private readonly ConcurrentDictionary<UInt256, bool> _points = new();

    /// <summary>
    /// False for what strict Ed25519 verifies nothing under: points of small order, whose signatures anybody could make, and encodings that are not
    /// canonical (design §5). NSec imports any 32 bytes, so who takes a key from elsewhere asks here.
    /// </summary>
    public static bool IsSound(ReadOnlySpan<byte> raw)
    {
        if (raw.Length != LengthBytes)
        {
            return false;
        }

        UInt256 y = new(
            BinaryPrimitives.ReadUInt64LittleEndian(raw), BinaryPrimitives.ReadUInt64LittleEndian(raw[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(raw[16..]), BinaryPrimitives.ReadUInt64LittleEndian(raw[24..]) & long.MaxValue);

        // p is 2^255 - 19: from p on an encoding is not canonical, and p - 1 has order 2.
        var isBelow = y.A < 0xffffffffffffffec || y.B != ulong.MaxValue || y.C != ulong.MaxValue || y.D != long.MaxValue;
        return isBelow && Array.IndexOf(SmallOrder, y) < 0;
    }

    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidKey"/>: not 32 bytes.</exception>
    public PublicKey Get(ReadOnlySpan<byte> raw)
    {
        if (raw.Length != LengthBytes)
        {
            throw new SwarmException(SwarmError.InvalidKey);
        }

        var id = System.Runtime.InteropServices.MemoryMarshal.Read<UInt256>(raw);
        if (_keys.TryGetValue(id, out var key))
        {
            return key;
        }

        if (_keys.Count >= KeysMax)
        {
            _keys.Clear();
        }

        return _keys[id] = PublicKey.Import(SignatureAlgorithm.Ed25519, raw, KeyBlobFormat.RawPublicKey);
    }

    /// <summary>
    /// True when the 32 bytes are a point of the curve. <see cref="Get"/> does not ask: under what is none, no signature verifies. A protocol that
    /// calls such a key malformed asks here; the answer is kept, because it costs as much as a verification.
    /// </summary>
    public bool IsPoint(ReadOnlySpan<byte> raw)
    {
        if (raw.Length != LengthBytes)
        {
            return false;
        }

        var id = System.Runtime.InteropServices.MemoryMarshal.Read<UInt256>(raw);
        if (_points.TryGetValue(id, out var isPoint))
        {
            return isPoint;
        }

        if (_points.Count >= KeysMax)
        {
            _points.Clear();
        }

        return _points[id] = CurvePoint.IsOnCurve(raw);
    }

    private readonly record struct UInt256(ulong A, ulong B, ulong C, ulong D);
}
