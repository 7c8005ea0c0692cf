using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace StackExchange.Redis;

/// <summary>A value: nothing, text, bytes or an integer. Two values are equal when Redis would store the same bytes for them.</summary>
public readonly struct RedisValue : IEquatable<RedisValue>
{
    private readonly Storage _storage;
    private readonly string? _text;
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly long _number;

    public RedisValue(string value)
        : this()
    {
        _text = value;
        _storage = value is null ? Storage.Null : Storage.Text;
    }

    private RedisValue(ReadOnlyMemory<byte> bytes)
        : this()
    {
        _bytes = bytes;
        _storage = Storage.Bytes;
    }

    private RedisValue(long number)
        : this()
    {
        _number = number;
        _storage = Storage.Number;
    }

    private enum Storage : byte
    {
        Null,
        Text,
        Bytes,
        Number,
    }

    public static RedisValue Null => default;

    public static RedisValue EmptyString => new(string.Empty);

    public bool IsNull => _storage == Storage.Null;

    public bool IsInteger => _storage == Storage.Number;

    public bool IsNullOrEmpty => _storage switch
    {
        Storage.Null => true,
        Storage.Text => _text!.Length == 0,
        Storage.Bytes => _bytes.IsEmpty,
        _ => false,
    };

    public bool HasValue => !IsNullOrEmpty;

    public static implicit operator RedisValue(string? value) => value is null ? default : new(value);

    public static implicit operator RedisValue(byte[]? value) => value is null ? default : new((ReadOnlyMemory<byte>)value);

    public static implicit operator RedisValue(ReadOnlyMemory<byte> value) => new(value);

    public static implicit operator RedisValue(long value) => new(value);

    public static implicit operator RedisValue(int value) => new((long)value);

    public static implicit operator RedisValue(bool value) => new(value ? 1L : 0L);

    public static implicit operator string?(RedisValue value) => value._storage switch
    {
        Storage.Null => null,
        Storage.Text => value._text,
        Storage.Bytes => Encoding.UTF8.GetString(value._bytes.Span),
        _ => value._number.ToString(CultureInfo.InvariantCulture),
    };

    public static implicit operator byte[]?(RedisValue value) => value.IsNull ? null : value.ToMemory().ToArray();

    public static implicit operator ReadOnlyMemory<byte>(RedisValue value) => value.ToMemory();

    /// <summary>The integer; 0 for nothing.</summary>
    /// <exception cref="InvalidCastException">It is not an integer.</exception>
    public static explicit operator long(RedisValue value) =>
        value.IsNull ? 0 : value.TryParse(out long number) ? number : throw new InvalidCastException("The value is not an integer.");

    /// <exception cref="InvalidCastException">It is not an integer.</exception>
    public static explicit operator int(RedisValue value) => checked((int)(long)value);

    /// <exception cref="InvalidCastException">It is not an integer.</exception>
    public static explicit operator bool(RedisValue value) => (long)value != 0;

    public static bool operator ==(RedisValue x, RedisValue y) => x.Equals(y);

    public static bool operator !=(RedisValue x, RedisValue y) => !x.Equals(y);

    /// <summary>Reads an integer; false when it is none.</summary>
    public bool TryParse(out long val)
    {
        if (_storage == Storage.Number)
        {
            val = _number;
            return true;
        }

        val = 0;
        ReadOnlySpan<byte> bytes = ToMemory().Span;
        return !bytes.IsEmpty && Utf8Parser.TryParse(bytes, out val, out int used) && used == bytes.Length;
    }

    public bool Equals(RedisValue other)
    {
        if (IsNull || other.IsNull)
        {
            return IsNull && other.IsNull;
        }

        return ToMemory().Span.SequenceEqual(other.ToMemory().Span);
    }

    public override bool Equals(object? obj) => obj is RedisValue other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(ToMemory().Span);
        return hash.ToHashCode();
    }

    public override string ToString() => (string?)this ?? string.Empty;

    internal ReadOnlyMemory<byte> ToMemory() => _storage switch
    {
        Storage.Null => default,
        Storage.Text => Encoding.UTF8.GetBytes(_text!),
        Storage.Bytes => _bytes,
        _ => Encoding.ASCII.GetBytes(_number.ToString(CultureInfo.InvariantCulture)),
    };
}
