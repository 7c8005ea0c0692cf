using System.Text;
using System.Text.Json;
using Swarm.Core;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Tests.Conformance;

/// <summary>The invite vectors that need no server (ASP §6).</summary>
[Shown(By.Vector)]
public sealed class InviteVectorTests
{
    private static readonly DateTimeOffset Now = new(2026, 2, 5, 14, 30, 0, TimeSpan.Zero);

    public static TheoryData<string, string> Tokens => VectorFile.Rows("invite-token");

    public static TheoryData<string, string> Refused => VectorFile.Rows("invite-token-reject");

    [Theory]
    [MemberData(nameof(Tokens))]
    [Conforms("ASP-20")]
    public void An_invite_is_made_byte_for_byte(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        using var key = vector.File.Key(vector.Text("signer")).ToKey();
        var expected = ReadClaims(vector);
        var token = InviteToken.Sign(
            Encoding.UTF8.GetBytes(vector.Text("header_json")), Encoding.UTF8.GetBytes(vector.Text("payload_json")), key);
        Assert.Equal(vector.Text("jwt"), token.Jwt);
        Assert.Equal(vector.Text("signing_input"), token.Jwt[..token.Jwt.LastIndexOf('.')]);
        Assert.Equal(vector.Text("url"), token.ToUrl(expected.Endpoint));

        if (IsOurForm(vector))
        {
            Assert.Equal(vector.Text("jwt"), InviteToken.Create(expected, key).Jwt);
        }
    }

    [Theory]
    [MemberData(nameof(Tokens))]
    [Conforms("ASP-21", "ASP-22")]
    public void An_invite_is_read_by_joiner_and_master(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var expected = ReadClaims(vector);
        var key = vector.File.Key(vector.Text("signer")).ToPublicKey();
        Assert.Equal(expected, InviteToken.Parse(vector.Text("jwt")).Verify([key], Now));
        var link = InviteLink.Parse(vector.Text("url"), Now);
        Assert.Equal(expected, link.Claims);
        Assert.Equal(vector.Text("jwt"), link.Jwt);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    [Conforms("ASP-21")]
    public void A_joiner_refuses_what_its_vector_says(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector || !vector.Expect.TryGetProperty("client_parse_without_key", out var expected))
        {
            return;
        }

        var isAccepted = expected.GetString()!.StartsWith("accepted", StringComparison.Ordinal);
        var url = vector.OptionalText("url") ?? throw new InvalidOperationException($"{id} has no url");
        if (isAccepted)
        {
            Assert.NotNull(InviteLink.Parse(url, Now).Claims);
        }
        else
        {
            var refused = Assert.Throws<SwarmException>(() => InviteLink.Parse(url, Now));
            Assert.Contains(refused.Error, new[] { SwarmError.InvalidToken, SwarmError.TokenExpired });
        }
    }

    private static InviteClaims ReadClaims(Vector vector)
    {
        var claims = vector.Json.GetProperty("claims");
        Assert.True(AspUuid.TryParse(claims.GetProperty("swarm_id").GetString(), out var swarm));
        DateTimeOffset? expiry = claims.GetProperty("expires_at").GetString() is { } text && AspTimestamp.TryParse(text, out var time) ? time : null;
        int? uses = claims.GetProperty("max_uses") is { ValueKind: JsonValueKind.Number } number ? number.GetInt32() : null;
        return new InviteClaims(
            new SwarmId(swarm),
            claims.GetProperty("master").GetString()!,
            claims.GetProperty("endpoint").GetString()!,
            DateTimeOffset.FromUnixTimeSeconds(claims.GetProperty("iat").GetInt64()),
            expiry,
            uses);
    }

    /// <summary>Other software may leave the type out or add claims; what we make has neither.</summary>
    private static bool IsOurForm(Vector vector)
    {
        string[] known = ["swarm_id", "master", "endpoint", "iat", "expires_at", "max_uses"];
        using var payload = JsonDocument.Parse(vector.Text("payload_json"));
        return vector.Text("header_json") == InviteToken.Header && payload.RootElement.EnumerateObject().All(claim => known.Contains(claim.Name));
    }
}
