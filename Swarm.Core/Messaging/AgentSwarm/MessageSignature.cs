using System.Buffers.Text;
using System.Text;
using NSec.Cryptography;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>Signs and verifies messages: Ed25519 over the <see cref="SignedDigest"/>, as padded base64 (ASP §4.1).</summary>
public static class MessageSignature
{
    public const int SizeBytes = 64;

    /// <summary>Characters of a signature as everybody writes it.</summary>
    public const int TextLength = 88;

    private const int TextBytesMax = 1024;

    /// <summary>The message with its signature by <paramref name="key"/>.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a signed member holds a lone surrogate.</exception>
    public static AspMessage Sign(Key key, AspMessage message)
    {
        Span<byte> signature = stackalloc byte[SizeBytes];
        SignatureAlgorithm.Ed25519.Sign(key, SignedDigest.Compute(message), signature);
        return message with { Signature = Convert.ToBase64String(signature) };
    }

    /// <summary>
    /// Verifies as a door does: the timestamp must be the exact 24-character form. The members that a signature does not cover
    /// (ASP §4.2) are not looked at.
    /// </summary>
    public static bool Verify(PublicKey key, AspMessage message) => AspTimestamp.TryParse(message.Timestamp, out _) && VerifyDigest(key, message);

    /// <summary>
    /// Verifies as the reference library does: the timestamp is read and printed again first, so that extra digits and an offset
    /// do no harm (UNS-05, UNS-06). For messages from an archive, never for a door.
    /// </summary>
    public static bool VerifyLenient(PublicKey key, AspMessage message) =>
        AspTimestamp.TryNormalise(message.Timestamp, out var normal) && VerifyDigest(key, message with { Timestamp = normal });

    /// <summary>Decodes the text of a signature; false when it is not base64 or not 64 bytes. Skips what peers skip (UNS-07).</summary>
    public static bool TryDecode(ReadOnlySpan<byte> text, Span<byte> signature)
    {
        if (text.Length == TextLength && Base64.DecodeFromUtf8(text, signature, out _, out var exact) == System.Buffers.OperationStatus.Done
            && exact == SizeBytes)
        {
            return true;
        }

        return text.Length <= TextBytesMax && LenientBase64.TryDecode(text, signature, out var written) && written == SizeBytes;
    }

    private static bool VerifyDigest(PublicKey key, AspMessage message)
    {
        Span<byte> signature = stackalloc byte[SizeBytes];
        try
        {
            return TryDecode(Encoding.UTF8.GetBytes(message.Signature), signature)
                && SignatureAlgorithm.Ed25519.Verify(key, SignedDigest.Compute(message), signature);
        }
        catch (SwarmException)
        {
            // A lone surrogate: nobody can have signed that.
            return false;
        }
    }
}
