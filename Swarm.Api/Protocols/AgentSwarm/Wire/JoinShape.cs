using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>Reads the body of a join (ASP §8.2), or explains what is wrong with it.</summary>
internal static class JoinShape
{
    private static readonly TextRule Invite = new(AgentSwarmLimits.InviteBytesMax) { IsSecret = true };
    private static readonly TextRule AgentId = new(AgentSwarmLimits.AgentIdBytesMax) { BytesMin = 1 };
    private static readonly TextRule PublicKey = new(AgentSwarmLimits.KeyTextBytesMax) { BytesMin = 1, IsSecret = true };

    private static readonly TextRule Endpoint = new(AgentSwarmLimits.EndpointCharactersMax * 4)
    {
        Sentence = $"endpoint must start with https:// and have at most {AgentSwarmLimits.EndpointCharactersMax} characters",
        IsRight = text => MessageRules.IsEndpoint(text),
    };

    /// <summary>True with the application; false with every failure in field order.</summary>
    public static bool TryRead(
        ReadOnlyMemory<byte> body, bool isJson, [NotNullWhen(true)] out JoinApplication? application, out IReadOnlyList<ShapeFailure> found)
    {
        var failures = new ShapeFailures();
        application = null;
        found = failures.Found;
        using var document = failures.ReadObject(body, isJson);
        if (document is null)
        {
            return false;
        }

        var join = document.RootElement;
        failures.CheckWord(join, isRequired: true, "type", "system");
        failures.CheckWord(join, isRequired: true, "action", "join_request");
        var token = failures.RequireText(join, Invite, "invite_token");
        byte[]? name = null, endpoint = null, key = null;
        if (failures.RequireObject(join, "sender") is { } sender)
        {
            name = failures.RequireText(sender, AgentId, "sender", "agent_id");
            endpoint = failures.RequireText(sender, Endpoint, "sender", "endpoint");
            key = failures.RequireText(sender, PublicKey, "sender", "public_key");
        }

        JoinProof? proof = null;
        if (join.TryGetProperty("swarm_proof", out var given) && given.ValueKind != JsonValueKind.Null)
        {
            proof = ReadProof(given, failures);
        }

        if (found.Count > 0)
        {
            return false;
        }

        application = new JoinApplication(Text(token), Text(name), Text(endpoint), Text(key)) { Proof = proof };
        return true;
    }

    /// <summary>Not the protocol's own member, so one sentence says all that can be wrong with it.</summary>
    private static JoinProof? ReadProof(JsonElement json, ShapeFailures failures)
    {
        if (json.ValueKind == JsonValueKind.Object && Member(json, "kind") is { } kind and ("join" or "repeat")
            && Member(json, "timestamp") is { } timestamp && Member(json, "signature") is { } signature)
        {
            return new(kind == "repeat", timestamp, signature);
        }

        failures.AddValueError(
            $"swarm_proof holds kind (join or repeat), timestamp and signature, texts of at most {AgentSwarmLimits.KeyTextBytesMax} bytes", null, "swarm_proof");
        return null;
    }

    private static string? Member(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { } text
        && text.Length <= AgentSwarmLimits.KeyTextBytesMax
            ? text
            : null;

    private static string Text(byte[]? utf8) => Encoding.UTF8.GetString(utf8!);
}
