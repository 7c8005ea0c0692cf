using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Swarm.Core.Capabilities.Json;

/// <summary>
/// The values of A1's JSON. Bytes are written as arrays of integers and read as those or as hex text (A1 §20); a <see cref="ShapeException"/> says
/// where something else stands.
/// </summary>
public static class WireValues
{
    public static byte[][] Names(params string[] names) => Array.ConvertAll(names, Encoding.UTF8.GetBytes);

    public static Bytes32 ReadBytes32(ref Utf8JsonReader reader, string what)
    {
        Bytes32 value = default;
        ReadBytes(ref reader, MemoryMarshal.AsBytes(new Span<Bytes32>(ref value)), what);
        return value;
    }

    /// <summary>Exactly as many bytes as the destination takes.</summary>
    public static void ReadBytes(ref Utf8JsonReader reader, scoped Span<byte> destination, string what)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            if (Convert.FromHexString(ReadText(ref reader, what), destination, out var consumed, out var written) != OperationStatus.Done
                || written != destination.Length || consumed != 2 * written)
            {
                throw NeedsBytes(destination.Length, what);
            }

            return;
        }

        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw NeedsBytes(destination.Length, what);
        }

        foreach (ref var value in destination)
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetByte(out value))
            {
                throw NeedsBytes(destination.Length, what);
            }
        }

        if (!reader.Read() || reader.TokenType != JsonTokenType.EndArray)
        {
            throw NeedsBytes(destination.Length, what);
        }
    }

    public static ulong ReadNumber(ref Utf8JsonReader reader, string what, ulong max = ulong.MaxValue) =>
        reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out var number) && number <= max
            ? number
            : throw new ShapeException($"{what}: a whole number from 0 to {max} is needed");

    public static bool ReadTruth(ref Utf8JsonReader reader, string what) =>
        reader.TokenType is JsonTokenType.True or JsonTokenType.False
            ? reader.TokenType == JsonTokenType.True
            : throw new ShapeException($"{what}: true or false is needed");

    public static string ReadText(ref Utf8JsonReader reader, string what)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw new ShapeException($"{what}: a text is needed");
        }

        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // A lone surrogate or broken UTF-8.
            throw new ShapeException($"{what}: the text is not Unicode");
        }
    }

    public static List<string> ReadTexts(ref Utf8JsonReader reader, string what)
    {
        var texts = new List<string>();
        OpenArray(ref reader, what);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            texts.Add(ReadText(ref reader, what));
        }

        return texts;
    }

    public static void OpenArray(ref Utf8JsonReader reader, string what)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new ShapeException($"{what}: an array is needed");
        }
    }

    public static void WriteBytes(Utf8JsonWriter json, ReadOnlySpan<byte> bytes)
    {
        json.WriteStartArray();
        foreach (var value in bytes)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    public static void WriteBytes(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> bytes)
    {
        json.WritePropertyName(name);
        WriteBytes(json, bytes);
    }

    public static void WriteTexts(Utf8JsonWriter json, ReadOnlySpan<byte> name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (var text in texts)
        {
            json.WriteStringValue(text);
        }

        json.WriteEndArray();
    }

    private static ShapeException NeedsBytes(int count, string what) => new($"{what}: {count} bytes are needed, as integers from 0 to 255 or as hex text");
}
