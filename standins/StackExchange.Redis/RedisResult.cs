using StackExchange.Redis.Resp;

namespace StackExchange.Redis;

/// <summary>A reply of any shape, as a script gives it.</summary>
public abstract class RedisResult
{
    private protected RedisResult()
    {
    }

    public ResultType Resp2Type { get; private protected init; }

    public abstract bool IsNull { get; }

    /// <summary>The number of items; -1 when it is not an array.</summary>
    public int Length => Items?.Length ?? -1;

    private protected virtual RedisResult[]? Items => null;

    private protected virtual RedisValue Value => throw new InvalidCastException("The reply is an array.");

    /// <summary>One item of an array.</summary>
    public RedisResult this[int index] => (Items ?? throw new InvalidOperationException("The reply is not an array."))[index];

    public static explicit operator string?(RedisResult? result) => result?.Value;

    public static explicit operator byte[]?(RedisResult? result) => result?.Value;

    public static explicit operator long(RedisResult result) => (long)result.Value;

    public static explicit operator int(RedisResult result) => (int)result.Value;

    public static explicit operator bool(RedisResult result) => (bool)result.Value;

    public static explicit operator RedisValue(RedisResult? result) => result?.Value ?? RedisValue.Null;

    public static explicit operator RedisResult[]?(RedisResult? result) => result?.Items;

    public static explicit operator RedisValue[]?(RedisResult? result) =>
        result?.Items is { } items ? Array.ConvertAll(items, item => item.Value) : null;

    public override string ToString() => ToString(out _) ?? string.Empty;

    public abstract string? ToString(out string? type);

    internal static RedisResult From(in RespNode node) =>
        node.Kind == RespKind.Array && node.Items is { } items
            ? new ArrayResult(Array.ConvertAll(items, item => From(item)))
            : new ValueResult(node);

    private sealed class ValueResult : RedisResult
    {
        private readonly RedisValue _value;

        public ValueResult(in RespNode node)
        {
            _value = node.ToValue();
            Resp2Type = node.Kind switch
            {
                RespKind.Simple => ResultType.SimpleString,
                RespKind.Error => ResultType.Error,
                RespKind.Integer => ResultType.Integer,
                RespKind.Array => ResultType.Array,
                _ => ResultType.BulkString,
            };
        }

        public override bool IsNull => _value.IsNull;

        private protected override RedisValue Value => _value;

        public override string? ToString(out string? type)
        {
            type = null;
            return _value;
        }
    }

    private sealed class ArrayResult : RedisResult
    {
        private readonly RedisResult[] _items;

        public ArrayResult(RedisResult[] items)
        {
            _items = items;
            Resp2Type = ResultType.Array;
        }

        public override bool IsNull => false;

        private protected override RedisResult[]? Items => _items;

        public override string? ToString(out string? type)
        {
            type = null;
            return $"{_items.Length} element(s)";
        }
    }
}
