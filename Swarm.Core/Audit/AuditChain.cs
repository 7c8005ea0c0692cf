using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Swarm.Core.Audit;

/// <summary>
/// The head of one writer's hash chain (design §5). An entry's hash is SHA-256 over previous hash ‖ root ‖ entry number (8 bytes,
/// big endian); the first entry's previous hash is 32 zero bytes.
/// </summary>
/// <param name="Writer">The chain's id, new for every process and after every commit of unknown outcome.</param>
/// <param name="EntryNo">The number of the newest entry; 0 before the first.</param>
/// <param name="Head">Its hash.</param>
public sealed record AuditChain(Guid Writer, long EntryNo, byte[] Head)
{
    public static AuditChain Start() => new(Guid.CreateVersion7(), 0, new byte[SHA256.HashSizeInBytes]);

    /// <summary>The chain after an entry with that root.</summary>
    public AuditChain Next(ReadOnlySpan<byte> root) => this with { EntryNo = EntryNo + 1, Head = Hash(Head, root, EntryNo + 1) };

    /// <summary>The hash of an entry.</summary>
    public static byte[] Hash(ReadOnlySpan<byte> previous, ReadOnlySpan<byte> root, long entryNo)
    {
        Span<byte> input = stackalloc byte[SHA256.HashSizeInBytes * 2 + sizeof(long)];
        previous.CopyTo(input);
        root.CopyTo(input[SHA256.HashSizeInBytes..]);
        BinaryPrimitives.WriteInt64BigEndian(input[(SHA256.HashSizeInBytes * 2)..], entryNo);
        return SHA256.HashData(input);
    }
}
