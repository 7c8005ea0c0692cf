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

    private readonly ConcurrentDictionary<UInt256, PublicKey> _keys = new();
    private readonly ConcurrentDictionary<UInt256, bool> _points = new();

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
