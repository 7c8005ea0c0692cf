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

    private readonly record struct UInt256(ulong A, ulong B, ulong C, ulong D);
}
