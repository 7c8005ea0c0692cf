using System.Buffers;
using System.Security.Cryptography;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>
/// What an Agent Swarm Protocol signature covers (ASP §4.1): SHA-256 over message id, timestamp, swarm id, recipient, type and content,
/// joined with nothing between, in UTF-8. Ids are hashed in lower case whatever the wire had.
/// </summary>
public static class SignedDigest
{
    public const int SizeBytes = SHA256.HashSizeInBytes;

    private const int StackBytesMax = 1024;

    /// <summary>The digest of already decoded UTF-8 members; the texts are taken verbatim.</summary>
    public static void Compute(
        Guid messageId, ReadOnlySpan<byte> timestamp, Guid swarmId, ReadOnlySpan<byte> recipient, ReadOnlySpan<byte> type,
        ReadOnlySpan<byte> content, Span<byte> digest)
    {
        var length = (2 * AspUuid.Length) + timestamp.Length + recipient.Length + type.Length + content.Length;
        var rented = length > StackBytesMax ? ArrayPool<byte>.Shared.Rent(length) : null;
        try
        {
            var canonical = rented is null ? stackalloc byte[StackBytesMax] : rented.AsSpan();
            Write(messageId, timestamp, swarmId, recipient, type, content, canonical);
            SHA256.HashData(canonical[..length], digest);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    /// <summary>The digest of a message with its timestamp as it stands.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a member holds a lone surrogate.</exception>
    public static byte[] Compute(AspMessage message)
    {
        var digest = new byte[SizeBytes];
        var type = AspWords.Utf8Of(message.Kind);
        var canonical = ArrayPool<byte>.Shared.Rent(
            (2 * AspUuid.Length) + type.Length
            + StrictUtf8.GetByteCount(message.Timestamp) + StrictUtf8.GetByteCount(message.Recipient) + StrictUtf8.GetByteCount(message.Content));
        try
        {
            var at = 0;
            AspUuid.Write(message.MessageId.Value, canonical);
            at += AspUuid.Length;
            at += StrictUtf8.GetBytes(message.Timestamp, canonical.AsSpan(at));
            AspUuid.Write(message.SwarmId.Value, canonical.AsSpan(at));
            at += AspUuid.Length;
            at += StrictUtf8.GetBytes(message.Recipient, canonical.AsSpan(at));
            type.CopyTo(canonical.AsSpan(at));
            at += type.Length;
            at += StrictUtf8.GetBytes(message.Content, canonical.AsSpan(at));
            SHA256.HashData(canonical.AsSpan(0, at), digest);
            return digest;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(canonical);
        }
    }

    /// <summary>The bytes under the digest, for people who compare implementations.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a member holds a lone surrogate.</exception>
    public static byte[] CanonicalBytes(AspMessage message)
    {
        byte[] timestamp = StrictUtf8.GetBytes(message.Timestamp), recipient = StrictUtf8.GetBytes(message.Recipient);
        var content = StrictUtf8.GetBytes(message.Content);
        var type = AspWords.Utf8Of(message.Kind);
        var canonical = new byte[(2 * AspUuid.Length) + timestamp.Length + recipient.Length + type.Length + content.Length];
        Write(message.MessageId.Value, timestamp, message.SwarmId.Value, recipient, type, content, canonical);
        return canonical;
    }

    private static void Write(
        Guid messageId, ReadOnlySpan<byte> timestamp, Guid swarmId, ReadOnlySpan<byte> recipient, ReadOnlySpan<byte> type,
        ReadOnlySpan<byte> content, Span<byte> canonical)
    {
        AspUuid.Write(messageId, canonical);
        canonical = canonical[AspUuid.Length..];
        timestamp.CopyTo(canonical);
        canonical = canonical[timestamp.Length..];
        AspUuid.Write(swarmId, canonical);
        canonical = canonical[AspUuid.Length..];
        recipient.CopyTo(canonical);
        canonical = canonical[recipient.Length..];
        type.CopyTo(canonical);
        content.CopyTo(canonical[type.Length..]);
    }
}
