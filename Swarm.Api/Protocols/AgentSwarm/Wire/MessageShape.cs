using System.Text.Json;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>Explains why a body is not a message: every failure, in field order, as reference servers list them (ASP §7.2).</summary>
internal static class MessageShape
{
    private static readonly TextRule Version = new(AgentSwarmLimits.VersionBytesMax)
    {
        Sentence = "protocol_version must be digits.digits.digits", IsRight = text => MessageRules.IsVersion(text),
    };

    private static readonly TextRule Uuid = new(AgentSwarmLimits.BodyBytesMax)
    {
        Sentence = "the id must be a UUID in 8-4-4-4-12 form", IsRight = text => AspUuid.TryParse(text, out _),
    };

    private static readonly TextRule SenderId = new(AgentSwarmLimits.AgentIdBytesMax) { BytesMin = 1 };

    private static readonly TextRule Endpoint = new(AgentSwarmLimits.EndpointCharactersMax * 4)
    {
        Sentence = $"endpoint must start with https:// and have at most {AgentSwarmLimits.EndpointCharactersMax} characters",
        IsRight = text => MessageRules.IsEndpoint(text),
    };

    private static readonly TextRule Recipient = new(AgentSwarmLimits.AgentIdBytesMax);
    private static readonly TextRule Time = new(AgentSwarmLimits.TimeBytesMax);
    private static readonly TextRule ReferenceId = new(AgentSwarmLimits.ReferenceIdBytesMax);
    private static readonly TextRule Content = new(AgentSwarmLimits.ContentBytesMax) { MayHoldNul = true };
    private static readonly TextRule Signature = new(AgentSwarmLimits.KeyTextBytesMax) { IsSecret = true };

    /// <summary>The failures; empty for a message that <see cref="MessageReader"/> takes.</summary>
    public static IReadOnlyList<ShapeFailure> Explain(ReadOnlyMemory<byte> body, bool isJson)
    {
        var failures = new ShapeFailures();
        using var document = failures.ReadObject(body, isJson);
        if (document is not null)
        {
            Check(document.RootElement, failures);
        }

        return failures.Found;
    }

    private static void Check(JsonElement message, ShapeFailures failures)
    {
        failures.RequireText(message, Version, "protocol_version");
        failures.RequireText(message, Uuid, "message_id");
        failures.RequireText(message, Time, "timestamp");
        if (failures.RequireObject(message, "sender") is { } sender)
        {
            failures.RequireText(sender, SenderId, "sender", "agent_id");
            failures.RequireText(sender, Endpoint, "sender", "endpoint");
        }

        failures.RequireText(message, Recipient, "recipient");
        failures.RequireText(message, Uuid, "swarm_id");
        failures.CheckWord(message, isRequired: true, "type", "message", "system", "notification");
        failures.RequireText(message, Content, "content");
        failures.RequireText(message, Signature, "signature");
        failures.OptionalText(message, ReferenceId, "in_reply_to");
        failures.OptionalText(message, ReferenceId, "thread_id");
        failures.CheckWord(message, isRequired: false, "priority", "low", "normal", "high");
        failures.OptionalText(message, Time, "expires_at");
        CheckObjects(message, failures, "attachments");
        CheckObjects(message, failures, "references");
        if (message.TryGetProperty("metadata", out var metadata) && metadata.ValueKind is not (JsonValueKind.Null or JsonValueKind.Object))
        {
            failures.Add(new("dict_type", ["metadata"], NotADictionary, metadata.Clone()));
        }
    }

    private static void CheckObjects(JsonElement message, ShapeFailures failures, string name)
    {
        if (!message.TryGetProperty(name, out var list) || list.ValueKind == JsonValueKind.Null)
        {
            return;
        }

        if (list.ValueKind != JsonValueKind.Array)
        {
            failures.Add(new("list_type", [name], "Input should be a valid list", list.Clone()));
            return;
        }

        var index = 0;
        foreach (var entry in list.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Object)
            {
                failures.Add(new("dict_type", [name, index], NotADictionary, entry.Clone()));
            }

            index++;
        }
    }

    private const string NotADictionary = "Input should be a valid dictionary";
}
