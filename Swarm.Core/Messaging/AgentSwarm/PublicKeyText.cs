using System.Diagnostics.CodeAnalysis;
using System.Text;
using NSec.Cryptography;
using Swarm.Core.Identity;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>A public key as text (ASP §2.1): standard padded base64 of the raw 32 bytes, 44 characters. Never SubjectPublicKeyInfo.</summary>
public static class PublicKeyText
{
    public const int SizeBytes = 32;
    public const int Length = 44;

    /// <summary>False for another encoding or length, and for points that strict Ed25519 refuses.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out PublicKey? key)
    {
        Span<byte> raw = stackalloc byte[SizeBytes];
        Span<byte> utf8 = stackalloc byte[Length];
        key = null;
        return text.Length == Length
            && Ascii.FromUtf16(text, utf8, out _) == System.Buffers.OperationStatus.Done
            && LenientBase64.TryDecode(utf8, raw, out var written) && written == SizeBytes
            && Convert.ToBase64String(raw) == text && PublicKeys.IsSound(raw)
            && PublicKey.TryImport(SignatureAlgorithm.Ed25519, raw, KeyBlobFormat.RawPublicKey, out key);
    }

    /// <summary>Reads a key or refuses it.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidKey"/>.</exception>
    public static PublicKey Parse(string text) => TryParse(text, out var key) ? key : throw new SwarmException(SwarmError.InvalidKey);

    public static string Format(PublicKey key) => Convert.ToBase64String(key.Export(KeyBlobFormat.RawPublicKey));
}
