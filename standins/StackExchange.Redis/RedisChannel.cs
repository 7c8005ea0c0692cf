using System.Text;

namespace StackExchange.Redis;

/// <summary>The name of a publish/subscribe channel. Only literal names are supported.</summary>
public readonly struct RedisChannel : IEquatable<RedisChannel>
{
    private readonly byte[]? _bytes;

    private RedisChannel(byte[] bytes) => _bytes = bytes;

    public bool IsNullOrEmpty => _bytes is null or { Length: 0 };

    public static implicit operator string?(RedisChannel key) => key._bytes is null ? null : Encoding.UTF8.GetString(key._bytes);

    public static implicit operator byte[]?(RedisChannel key) => key._bytes;

    public static bool operator ==(RedisChannel x, RedisChannel y) => x.Equals(y);

    public static bool operator !=(RedisChannel x, RedisChannel y) => !x.Equals(y);

    /// <summary>The channel of exactly that name.</summary>
    public static RedisChannel Literal(string value) => new(Encoding.UTF8.GetBytes(value));

    /// <summary>The channel of exactly that name.</summary>
    public static RedisChannel Literal(byte[] value) => new(value);

    public bool Equals(RedisChannel other) =>
        _bytes is null || other._bytes is null ? _bytes == other._bytes : _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => obj is RedisChannel other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(_bytes);
        return hash.ToHashCode();
    }

    public override string ToString() => (string?)this ?? "(null)";

    internal ReadOnlyMemory<byte> ToMemory() => IsNullOrEmpty ? throw new ArgumentException("A channel is needed.") : _bytes;
}
