using System.Text;

namespace StackExchange.Redis.Resp;

/// <summary>The five kinds of RESP2 reply.</summary>
internal enum RespKind : byte
{
    Simple,
    Error,
    Integer,
    Bulk,
    Array,
}

/// <summary>One reply. <see cref="Bytes"/> and <see cref="Items"/> are both null for the two null replies (<c>$-1</c>, <c>*-1</c>).</summary>
internal readonly record struct RespNode(RespKind Kind, byte[]? Bytes = null, long Number = 0, RespNode[]? Items = null)
{
    public RedisValue ToValue() => Kind == RespKind.Integer ? Number : Bytes;

    public string Text => Bytes is null ? string.Empty : Encoding.UTF8.GetString(Bytes);

    public bool IsText(ReadOnlySpan<byte> text) => Bytes is not null && Bytes.AsSpan().SequenceEqual(text);
}
