using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Swarm.Client.Transport;

namespace Swarm.Tests.Client;

public sealed class PlainJsonEncoderTests
{
    private static readonly JsonSerializerOptions Options = new() { Encoder = new PlainJsonEncoder() };

    private static readonly JsonSerializerOptions MoreEscaped = new()
    {
        Encoder = new PlainJsonEncoder(scalar => scalar is 0x1F41D or 0x202E),
    };

    [Theory]
    [InlineData("👩‍💻 é שלום", "\"👩‍💻 é שלום\"")]
    [InlineData("a\"b\\c\n\t\r", "\"a\\\"b\\\\c\\n\\t\\r\"")]
    [InlineData("\0\u001b\u007f", "\"\\u0000\\u001b\u007f\"")]
    [InlineData("</script>&'", "\"</script>&'\"")]
    public void Escapes_what_must_be_and_nothing_else(string text, string json) => Assert.Equal(
        json, JsonSerializer.Serialize(text, Options));

    [Fact]
    public void Every_text_comes_back_as_it_went()
    {
        var scalars = Gen.OneOf(Gen.Choose(0, 0xFF), Gen.Choose(0, 0xD7FF), Gen.Choose(0xE000, 0x10FFFF)).Select(scalar => new Rune(scalar).ToString());
        Prop.ForAll(scalars.ArrayOf().Select(string.Concat).ToArbitrary(), text =>
            JsonSerializer.Deserialize<string>(JsonSerializer.Serialize(text, Options)) == text
            && JsonSerializer.Deserialize<string>(JsonSerializer.SerializeToUtf8Bytes(text, Options)) == text)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(2_000));
    }

    [Fact]
    public void More_can_be_escaped_also_beyond_the_first_plane() => Assert.Equal(
        "\"a\\ud83d\\udc1d\\u202e\"",
        JsonSerializer.Serialize("a🐝\u202E", MoreEscaped));
}
