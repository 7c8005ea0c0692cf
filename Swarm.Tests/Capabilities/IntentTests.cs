using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

[Shown(By.Unit)]
public sealed class IntentTests
{
    /// <summary>Right-hand sides as Python's <c>str.strip().lower()</c> gives them, an implementation of the same Unicode rules.</summary>
    [Theory]
    [InlineData("  AAPL\t\r\n", "aapl")]
    [InlineData("\u2003\u00a0\u1680\u3000\u0085x\u2028\u2029\u202f\u205f", "x")]
    [InlineData("\u001cx\u001f", "\u001cx\u001f")]
    [InlineData("\ufeffX", "\ufeffx")]
    [InlineData("a B", "a b")]
    [InlineData("İ", "i\u0307")]
    [InlineData("İΣ", "i\u0307ς")]
    [InlineData("ΟΔΟΣ", "οδος")]
    [InlineData("ΑΣ ΑΣ", "ας ας")]
    [InlineData("Σ", "σ")]
    [InlineData("1Σ", "1σ")]
    [InlineData("Α.Σ", "α.ς")]
    [InlineData("Σ.Α", "σ.α")]
    [InlineData("ΑΣ'Α", "ασ'α")]
    [InlineData("ΑΣ1", "ας1")]
    [InlineData("ⅣΣ", "ⅳς")]
    [InlineData("Α\u0301Σ", "α\u0301ς")]
    [InlineData("Α\u00adΣ\u200d", "α\u00adς\u200d")]
    [InlineData("\U00010400Σ", "\U00010428ς")]
    [InlineData("ΑΣʰ", "αςʰ")]
    [InlineData("\u0345Σ", "\u0345σ")]
    [InlineData("ẞ", "ß")]
    [InlineData("", "")]
    [Conforms("A1-03")]
    public void Parameters_are_trimmed_and_lower_cased_as_Unicode_says(string raw, string normal)
    {
        var intent = Intent.Create("a", [new(raw, raw)]);
        Assert.Equal([new(normal, normal)], intent.Parameters);
        Assert.Equal(Intent.Create("a", [new(normal, normal)]).Hash, intent.Hash);
    }

    [Fact]
    [Conforms("A1-03")]
    public void The_action_is_not_touched_and_order_does_not_count()
    {
        Assert.NotEqual(Intent.LeafOf("a.b"), Intent.LeafOf("A.b"));
        Assert.NotEqual(Intent.LeafOf("a.b"), Intent.LeafOf(" a.b"));
        Assert.Equal(
            Intent.Create("a", [new("x", "1"), new("y", "2")]).Hash,
            Intent.Create("a", [new("y", "2"), new("x", "1")]).Hash);

        // By UTF-8 bytes, where U+FFFD comes before U+10000; by UTF-16 code units it would come after.
        Assert.Equal(["\ufffd", "\U00010000"], Intent.Create("a", [new("\U00010000", ""), new("\ufffd", "")]).Parameters.Select(p => p.Key));
    }

    [Fact]
    [Conforms("A1-03")]
    public void Limits_are_those_of_the_normal_form_and_hold_to_the_byte()
    {
        Intent.Create(new string('é', 128), [new(new string('k', 128), "  " + new string('v', 4096) + "  ")]);
        Refused("Intent action cannot be empty", "");
        Refused("Intent action exceeds maximum length of 256", new string('a', 257));
        Refused("Intent action exceeds maximum length of 256", new string('é', 129));
        Refused("Intent parameter key exceeds maximum length of 128", "a", [new(new string('k', 129), "")]);
        Refused("Intent parameter value exceeds maximum length of 4096", "a", [new("k", new string('v', 4097))]);
        // 64 letters of two bytes grow to three.
        Intent.Create("a", [new(new string('İ', 42), "")]);
        Refused("Intent parameter key exceeds maximum length of 128", "a", [new(new string('İ', 43), "")]);

        var most = Enumerable.Range(0, 64).Select(i => KeyValuePair.Create($"k{i}", "")).ToArray();
        Assert.Equal(64, Intent.Create("a", most).Parameters.Count);
        Refused("Intent exceeds maximum parameter count of 64", "a", [.. most, new("k64", "")]);
    }

    [Fact]
    [Conforms("A1-03")]
    public void What_has_no_one_normal_form_is_refused()
    {
        Refused("Intent parameter keys must differ after trimming and lower-casing", "a", [new("Side", "buy"), new(" side", "sell")]);
        Refused("Intent action holds a lone surrogate", "\ud800");
        Refused("Intent parameter key holds a lone surrogate", "a", [new("\udc00", "")]);
        Refused("Intent parameter value holds a lone surrogate", "a", [new("k", "Σ\ud800")]);
    }

    [Fact]
    [Conforms("A1-03", "A1-18")]
    public void Neighbouring_texts_cannot_be_shifted_into_each_other()
    {
        Bytes32[] hashes =
        [
            Intent.LeafOf("ab"),
            Intent.Create("a", [new("b", "")]).Hash,
            Intent.Create("a", [new("", "b")]).Hash,
            Intent.Create("a", [new("", "")]).Hash,
            Intent.Create("a", [new("b", ""), new("c", "")]).Hash,
            Intent.Create("a", [new("bc", "")]).Hash,
            Intent.Create("a", [new("b", "c")]).Hash,
            Intent.DeprecatedHash("ab", []),
            Intent.DeprecatedHash("a", "b"u8),
        ];
        Assert.Equal(hashes.Length, hashes.Distinct().Count());
    }

    private static void Refused(string reason, string action, params KeyValuePair<string, string>[] parameters)
    {
        var denial = Assert.Throws<DenialException>(() => Intent.Create(action, parameters)).Denial;
        Assert.Equal(($"wire format error: {reason}", "AUTHORIZATION_FAILED", "WireFormatError"), (denial.Text, denial.Code, denial.DetailCode));
    }
}
