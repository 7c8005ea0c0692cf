using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Swarm.Tests.Conformance;

/// <summary>Calls A1's readers and writers on whole texts.</summary>
internal static class A1Wire
{
    public delegate T Reading<out T>(ref Utf8JsonReader reader);

    /// <summary>Reads one value; fails when the reader does not stop at its end.</summary>
    public static T Read<T>(string json, Reading<T> read)
    {
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        Assert.True(reader.Read());
        var value = read(ref reader);
        Assert.Equal(0, reader.CurrentDepth);
        Assert.False(reader.Read());
        return value;
    }

    public static string Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            write(json);
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>The same values, in the same order of members.</summary>
    public static void AssertSame(JsonElement expected, string written) =>
        Assert.Equal(JsonSerializer.Serialize(expected), JsonSerializer.Serialize(JsonElement.Parse(written)));
}
