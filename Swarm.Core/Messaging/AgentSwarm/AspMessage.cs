using System.Text.Json;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>A message of the Agent Swarm Protocol in its v1 JSON form (ASP §3): what <see cref="MessageWriter"/> writes and the signature covers in part.</summary>
public sealed record AspMessage
{
    /// <summary>The version that this node speaks and writes.</summary>
    public const string CurrentVersion = "0.1.0";

    public string ProtocolVersion { get; init; } = CurrentVersion;

    public required MessageId MessageId { get; init; }

    /// <summary>The signed time as text; <see cref="AspTimestamp.Format"/> makes it.</summary>
    public required string Timestamp { get; init; }

    public required string SenderId { get; init; }

    /// <summary>The sender's https base URL. Not covered by the signature.</summary>
    public required string SenderEndpoint { get; init; }

    public required string Recipient { get; init; }

    public required Swarms.SwarmId SwarmId { get; init; }

    public required MessageKind Kind { get; init; }

    public required string Content { get; init; }

    /// <summary>Base64 with padding; empty until signed.</summary>
    public string Signature { get; init; } = "";

    public string? InReplyTo { get; init; }

    public string? ThreadId { get; init; }

    public Priority Priority { get; init; } = Priority.Normal;

    public string? ExpiresAt { get; init; }

    /// <summary>An array of objects, or null.</summary>
    public JsonElement? Attachments { get; init; }

    /// <summary>An array of objects, or null.</summary>
    public JsonElement? References { get; init; }

    /// <summary>An object, or null.</summary>
    public JsonElement? Metadata { get; init; }

    /// <summary>What the node itself put into the inbox of one of its agents: unsigned, addressed to nobody (ASP §10.2).</summary>
    public bool IsRecord => Signature.Length == 0 && Recipient.Length == 0;
}
