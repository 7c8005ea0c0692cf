using System.Buffers.Text;
using System.Text;
using NSec.Cryptography;
using Swarm.Core;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Swarms;

/// <summary>Invites that were made to break things (ASP §6.3), and the order of the checks.</summary>
[Shown(By.Unit)]
public sealed class InviteTokenTests(ITestOutputHelper output)
{
    private const string Header = """{"alg":"EdDSA","typ":"JWT"}""";
    private const string Claims =
        "\"swarm_id\":\"550e8400-e29b-41d4-a716-446655440000\",\"master\":\"alice\",\"endpoint\":\"https://a.example.com/swarm\",\"iat\":1770300000";

    private static readonly DateTimeOffset Now = new(2026, 2, 5, 14, 30, 0, TimeSpan.Zero);
    private static readonly Key Alice = VectorFile.Published.Key("alice").ToKey();
    private static readonly Key Mallory = VectorFile.Published.Key("mallory").ToKey();

    [Theory]
    [InlineData("""[]""", "invalid-token")]
    [InlineData("\"text\"", "invalid-token")]
    [InlineData("""null""", "invalid-token")]
    [InlineData("""{}""", "invalid-token")]
    [InlineData("""{"swarm_id":null}""", "invalid-token")]
    [InlineData("""{"swarm_id":[]}""", "invalid-token")]
    [InlineData("""{"swarm_id":{"a":1}}""", "invalid-token")]
    [InlineData("""{"swarm_id":7}""", "invalid-token")]
    [InlineData("""{"swarm_id":"\ud800"}""", "invalid-token")]
    [InlineData("""{"\ud800":1,"swarm_id":"550e8400-e29b-41d4-a716-446655440000"}""", "invalid-token")]
    [InlineData("""{"swarm_id":"a","swarm_id":"550e8400-e29b-41d4-a716-446655440000"}""", "invalid-token")]
    [InlineData("""{"swarm_id":"nope"}""", "unknown-swarm")]
    [Conforms("ASP-22")]
    public void A_crafted_payload_is_refused_before_anything_is_looked_up(string payload, string error) =>
        Assert.Equal(error, Refusal(() => InviteToken.Parse(Jwt(Header, payload, Alice))));

    [Theory]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("nope")]
    [InlineData("{}")]
    [InlineData("""{"alg":null}""")]
    [InlineData("""{"alg":["EdDSA"]}""")]
    [InlineData("""{"alg":"eddsa"}""")]
    [InlineData("""{"alg":"\udc00"}""")]
    [Conforms("ASP-22")]
    public void A_crafted_header_is_an_invalid_token(string header) =>
        Assert.Equal("invalid-token", Refusal(() => InviteToken.Parse(Jwt(header, $"{{{Claims}}}", Alice)).Verify([Alice.PublicKey], Now)));

    [Theory]
    [InlineData(@"{CLAIMS,""expires_at"":7}")]
    [InlineData(@"{CLAIMS,""expires_at"":true}")]
    [InlineData(@"{CLAIMS,""expires_at"":[1]}")]
    [InlineData(@"{CLAIMS,""expires_at"":""tomorrow""}")]
    [InlineData(@"{CLAIMS,""max_uses"":-1}")]
    [InlineData(@"{CLAIMS,""max_uses"":1.5}")]
    [InlineData(@"{CLAIMS,""max_uses"":""1""}")]
    [InlineData(@"{CLAIMS,""max_uses"":99999999999}")]
    [InlineData(@"{""swarm_id"":""550e8400-e29b-41d4-a716-446655440000"",""endpoint"":""https://a"",""iat"":1}")]
    [InlineData(@"{""swarm_id"":""550e8400-e29b-41d4-a716-446655440000"",""master"":7,""endpoint"":""https://a"",""iat"":1}")]
    [InlineData(@"{""swarm_id"":""550e8400-e29b-41d4-a716-446655440000"",""master"":""a"",""endpoint"":""https://a""}")]
    [InlineData(@"{""swarm_id"":""550e8400-e29b-41d4-a716-446655440000"",""master"":""a"",""endpoint"":""https://a"",""iat"":1e99}")]
    [InlineData(@"{""swarm_id"":""550e8400-e29b-41d4-a716-446655440000"",""master"":""a"",""endpoint"":""https://a"",""iat"":99999999999999}")]
    [Conforms("ASP-22")]
    public void Crafted_claims_are_an_invalid_token_once_their_signature_holds(string payload)
    {
        payload = payload.Replace("CLAIMS", Claims, StringComparison.Ordinal);
        Assert.Equal("invalid-token", Refusal(() => InviteToken.Parse(Jwt(Header, payload, Alice)).Verify([Alice.PublicKey], Now)));
        Assert.Equal("token-signature", Refusal(() => InviteToken.Parse(Jwt(Header, payload, Mallory)).Verify([Alice.PublicKey], Now)));
    }

    [Theory]
    [InlineData("\"2026-02-05T14:30:00.000Z\"", null)]
    [InlineData("\"2026-02-05T14:29:59.999Z\"", "token-expired")]
    [InlineData("\"2026-02-05T14:29:59\"", "token-expired")]
    [InlineData("\"2026-02-05T23:29:59.9999999999+09:00\"", "token-expired")]
    [InlineData("\"2026-02-06\"", null)]
    [InlineData("\"\"", null)]
    [InlineData("null", null)]
    [InlineData("0", null)]
    [InlineData("false", null)]
    [InlineData("[]", null)]
    [Conforms("ASP-22")]
    public void An_invite_ends_after_its_expiry_and_an_empty_expiry_is_none(string expiry, string? error)
    {
        var token = InviteToken.Parse(Jwt(Header, $"{{{Claims},\"expires_at\":{expiry}}}", Alice));
        Assert.Equal(error, Refusal(() => token.Verify([Alice.PublicKey], Now)));
    }

    [Fact]
    [Conforms("ASP-22", "ASP-25")]
    public void The_signature_of_any_acceptable_key_counts()
    {
        var token = InviteToken.Parse(Jwt(Header, $"{{{Claims}}}", Mallory));
        Assert.Equal("token-signature", Refusal(() => token.Verify([Alice.PublicKey], Now)));
        Assert.Equal("token-signature", Refusal(() => token.Verify([], Now)));
        Assert.Equal("alice", token.Verify([Alice.PublicKey, Mallory.PublicKey], Now).Master);
    }

    [Fact]
    [Conforms("ASP-23")]
    public void A_signed_token_has_one_spelling_and_so_one_hash()
    {
        var jwt = Jwt(Header, $"{{{Claims}}}", Alice);
        Assert.Equal(64, InviteToken.Parse(jwt).Hash.Length);
        var last = jwt[^1];
        foreach (var other in new[] { jwt + "=", jwt + "\n", jwt[..^1] + (char)(last + 1), jwt.Replace('-', '+'), jwt + "AA" })
        {
            Assert.NotNull(other == jwt ? "same" : Refusal(() => InviteToken.Parse(other).Verify([Alice.PublicKey], Now)));
        }
    }

    [Fact]
    [Conforms("ASP-20")]
    public void The_URL_carries_host_and_port_of_the_endpoint_alone()
    {
        var claims = new InviteClaims(new SwarmId(Guid.NewGuid()), "älice \"q\"\u007f😀", "https://localhost:9441/swarm", Now, Now.AddHours(1), 3);
        var token = InviteToken.Create(claims, Alice);
        Assert.Equal($"swarm://{claims.SwarmId}@localhost:9441?token={token.Jwt}", token.ToUrl(claims.Endpoint));
        Assert.Equal(claims, InviteLink.Parse(token.ToUrl(claims.Endpoint), Now).Claims);
        var payload = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token.Jwt.Split('.')[1]));
        Assert.Contains("""
            "master":"\u00e4lice \"q\"\u007f\ud83d\ude00"
            """.Trim(), payload, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-21", "ASP-22")]
    [Refuses("W-11", "W-25")]
    public void Whatever_is_done_to_a_token_only_our_own_error_comes_out()
    {
        var random = new Random(Seed.Take(output));
        var jwt = InviteToken.Create(new(new SwarmId(Guid.NewGuid()), "alice", "https://a.example.com/swarm", Now, null, null), Alice).Jwt;
        for (var i = 0; i < 20_000; i++)
        {
            var text = new StringBuilder(jwt);
            for (var edits = random.Next(1, 4); edits > 0; edits--)
            {
                var at = random.Next(text.Length);
                _ = random.Next(3) switch
                {
                    0 => text.Remove(at, Math.Min(random.Next(1, 9), text.Length - at - 1)),
                    1 => text.Insert(at, (char)random.Next(0, 0x3FF)),
                    _ => text.Replace(text[at], (char)random.Next(' ', '~'), at, 1),
                };
            }

            var crafted = text.ToString();
            Refusal(() => InviteToken.Parse(crafted).Verify([Alice.PublicKey], Now));
            Refusal(() => InviteLink.Parse($"swarm://x@y?token={crafted}", Now));
        }
    }

    /// <summary>The id of the refusal; null when there was none. Any other exception fails the test.</summary>
    private static string? Refusal(Action act)
    {
        try
        {
            act();
            return null;
        }
        catch (SwarmException refused)
        {
            return refused.Error.Id;
        }
    }

    private static string Jwt(string header, string payload, Key key)
    {
        var signed = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header))}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload))}";
        return $"{signed}.{Base64Url.EncodeToString(SignatureAlgorithm.Ed25519.Sign(key, Encoding.ASCII.GetBytes(signed)))}";
    }
}
