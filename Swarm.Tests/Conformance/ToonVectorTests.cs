using System.Text.Json;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Tests.Conformance;

/// <summary>TOON, the stored and displayed form (ASP §5.3): the vectors, and the rules that they leave out.</summary>
[Shown(By.Vector)]
public sealed class ToonVectorTests
{
    public static TheoryData<string, string> Stored => VectorFile.Rows("toon-stored-content");

    public static TheoryData<string, string> Rendered => VectorFile.Rows("toon-render-legacy-json");

    [Theory]
    [MemberData(nameof(Stored))]
    [Conforms("ASP-17")]
    public void A_message_is_stored_as_the_reference_stores_it(string file, string id)
    {
        if (VectorFile.Find(file, id) is { } vector)
        {
            var wire = vector.OptionalText("base") is { } other ? vector.File.Base(other).Wire() : vector.Wire();
            Assert.Equal(vector.Expect.GetProperty("content_preview").GetString(), Toon.OfMessage(wire));
        }
    }

    [Theory]
    [MemberData(nameof(Rendered))]
    [Conforms("ASP-18")]
    public void A_stored_json_record_is_shown_as_the_reference_shows_it(string file, string id)
    {
        if (VectorFile.Find(file, id) is { } vector)
        {
            Assert.Equal(vector.Expect.GetProperty("rendered").GetString(), Toon.Display(vector.Text("stored_content")));
        }
    }

    [Theory]
    [InlineData("not json", "not json")]
    [InlineData("{broken", "{broken")]
    [Conforms("ASP-18")]
    public void What_is_no_json_object_is_shown_raw(string stored, string shown) => Assert.Equal(shown, Toon.Display(stored));

    [Theory]
    [InlineData("1.5", "1.5")]
    [InlineData("1.0", "1.0")]
    [InlineData("100.0", "100.0")]
    [InlineData("1e21", "1e+21")]
    [InlineData("1E-7", "1e-07")]
    [InlineData("1.25e-5", "1.25e-05")]
    [InlineData("0.0001", "0.0001")]
    [InlineData("1e15", "1000000000000000.0")]
    [InlineData("1e16", "1e+16")]
    [InlineData("123456789012345680.0", "1.2345678901234568e+17")]
    [InlineData("0.1", "0.1")]
    [InlineData("-0.0", "0")]
    [InlineData("0e5", "0")]
    [InlineData("-0", "0")]
    [InlineData("-2.5e-310", "-2.5e-310")]
    [InlineData("1e-320", "1e-320")]
    [InlineData("\"+5\"", "\"+5\"")]
    [InlineData("\".5\"", "\".5\"")]
    [InlineData("\"5.\"", "\"5.\"")]
    [InlineData("\"1_000\"", "\"1_000\"")]
    [InlineData("\"1__0\"", "1__0")]
    [InlineData("\"1_\"", "1_")]
    [InlineData("\"1e5\"", "\"1e5\"")]
    [InlineData("\"1e\"", "1e")]
    [InlineData("\".\"", ".")]
    [InlineData("\"\\u0661\\u0662\"", "\"\u0661\u0662\"")]
    [InlineData("\"Infinity\"", "\"Infinity\"")]
    [InlineData("\"+nan\"", "\"+nan\"")]
    [InlineData("\"null\"", "\"null\"")]
    [InlineData("\"Null\"", "Null")]
    [InlineData("\"\\u001cx\"", "\"\u001cx\"")]
    [InlineData("\"\\ufeffx\"", "\ufeffx")]
    [InlineData("\"x\\u3000\"", "\"x\u3000\"")]
    [InlineData("\"a\\u0000b\"", "a\0b")]
    [Conforms("ASP-17")]
    public void Primitives_follow_the_encoders_rules(string json, string expected) => Assert.Equal("x: " + expected, OfObject($$"""{"x":{{json}}}"""));

    [Theory]
    [InlineData("""{"":{"a":1}}""", "a: 1")]
    [InlineData("""{"":[1,2]}""", "[2]: 1,2")]
    [InlineData("""{"":1}""", "\"\": 1")]
    [InlineData("""{"a.b_1":1}""", "a.b_1: 1")]
    [InlineData("""{"aü":1}""", "aü: 1")]
    [InlineData("""{"1a":1}""", "\"1a\": 1")]
    [InlineData("""{"a-b":1}""", "\"a-b\": 1")]
    [InlineData("""{"a\n":1}""", "a\n: 1")]
    [InlineData("""{"a":[[],[1]]}""", "a[2]:\n  - [0,]: \n  - [1,]: 1")]
    [InlineData("""{"a":[[[1]],[2]]}""", "a[2]:\n  [1]:\n    - [1,]: 1\n  - [1,]: 2")]
    [InlineData("""{"a":[{},{"b":{"c":1},"d":2}]}""", "a[2]:\n  -\n  -\n    b:\n      c: 1\n    d: 2")]
    [InlineData("""{"a":[{"b":1},{"b":2}]}""", "a[2,]{b}:\n  1\n  2")]
    [InlineData("""{"a":[{"b":1,"c":2},{"c":2,"b":1}]}""", "a[2]:\n  - b: 1\n    c: 2\n  - c: 2\n    b: 1")]
    [Conforms("ASP-17")]
    public void Structures_follow_the_encoders_rules(string json, string expected) => Assert.Equal(expected, OfObject(json));

    private static string OfObject(string json) => Toon.OfObject(JsonElement.Parse(json));
}
