using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Swarm.Cli.Output;

namespace Swarm.Tests.Cli;

public sealed class SanitiserTests
{
    /// <summary>Text with every kind of mischief, and innocent text in several scripts.</summary>
    private static readonly Gen<string> Texts = Gen.OneOf(
        Gen.Choose(0, 0xFFFF).Select(unit => ((char)unit).ToString()),
        Gen.Choose(0, 0xA0).Select(unit => ((char)unit).ToString()),
        Gen.Choose(0x2000, 0x2070).Select(unit => ((char)unit).ToString()),
        Gen.Choose(0x10000, 0x10FFFF).Select(char.ConvertFromUtf32),
        Gen.Elements("\u001b[2J", "\u001b]0;title\a", "\u009b31m", "\r\n", "[red]markup[/]", "שלום", "مرحبا", "👩‍👩‍👧", "e\u0301", "hello ")).ArrayOf().Select(string.Concat);

    [Fact]
    public void Nothing_that_a_terminal_obeys_survives() => Holds(text => Forbidden(TextSanitiser.Clean(text)).Length == 0);

    [Fact]
    public void What_is_harmless_is_not_touched() => Holds(text =>
        Forbidden(text).Length > 0 || text.Any(char.IsSurrogate) || TextSanitiser.Clean(text) == text);

    [Fact]
    public void Cleaning_twice_changes_nothing_more() => Holds(
        text => TextSanitiser.Clean(TextSanitiser.Clean(text)) == TextSanitiser.Clean(text));

    [Fact]
    public void A_cell_has_one_line() => Holds(text => !TextSanitiser.CleanLine(text).Any(c => c is '\n' or '\t' or '\r'));

    [Fact]
    public void Json_carries_every_text_unchanged_and_shows_nothing_that_a_terminal_obeys() => Holds(text =>
    {
        var wellFormed = string.Concat(text.EnumerateRunes());
        var node = new JsonObject { ["text"] = wellFormed };
        return new[] { JsonText.Pretty(node), JsonText.Line(node) }.All(json =>
            Forbidden(json).Length == 0 && JsonNode.Parse(json)!["text"]!.GetValue<string>() == wellFormed);
    });

    [Theory]
    [InlineData("\u001b[31mred\u001b[0m", "␛[31mred␛[0m")]
    [InlineData("one\r\ntwo\rthree", "one\ntwo␍three")]
    [InlineData("bell\a null\0 delete\u007f", "bell␇ null␀ delete␡")]
    [InlineData("a\u202Etxt.exe", "a\uFFFDtxt.exe")]
    [InlineData("tab\tand\nline", "tab\tand\nline")]
    [InlineData("👩‍💻 שלום \u200Fمرحبا", "👩‍💻 שלום \u200Fمرحبا")]
    public void The_replacements_can_be_seen(string text, string expected) => Assert.Equal(expected, TextSanitiser.Clean(text));

    [Fact]
    public void Json_is_written_for_people_too()
    {
        var json = JsonText.Pretty(new JsonObject { ["a"] = "é 👩‍💻 \u202E\u001b", ["b"] = new JsonArray(1), ["c"] = null });
        Assert.Equal("{\n  \"a\": \"é 👩‍💻 \\u202e\\u001b\",\n  \"b\": [\n    1\n  ],\n  \"c\": null\n}", json);
    }

    /// <summary>By Unicode category, so independently of the product's list: controls, and the directional formatting characters.</summary>
    private static char[] Forbidden(string text) =>
        [.. text.Where(c => (CharUnicodeInfo.GetUnicodeCategory(c) == UnicodeCategory.Control && c is not ('\n' or '\t'))
            || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            || "\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069\u206A\u206B\u206C\u206D\u206E\u206F\uFEFF\uFFF9\uFFFA\uFFFB".Contains(c, StringComparison.Ordinal))];

    private static void Holds(Func<string, bool> property) =>
        Prop.ForAll(Texts.ToArbitrary(), property).Check(Config.QuickThrowOnFailure.WithMaxTest(2_000));
}
