using Swarm.Core.Messaging;
using Swarm.Core.Swarms;

namespace Swarm.Core.Portability;

/// <summary>Everything of an agent that travels between installations (ASP §13): no private key, no session, no setting.</summary>
public sealed record AgentState
{
    /// <summary>What an export says; an import takes <see cref="LegacyVersion"/> too.</summary>
    public const string CurrentVersion = "2.0.0";

    /// <summary>Has one message queue instead of inbox and outbox.</summary>
    public const string LegacyVersion = "1.0.0";

    /// <summary>How many messages of each box an export holds, newest first.</summary>
    public const int ExportedMax = 100;

    public const int SwarmsMax = 1_000;

    public const int KeysMax = 10_000;

    /// <summary>The most messages of one box in an import.</summary>
    public const int MessagesMax = 10_000;

    /// <summary>The largest stored text, in bytes of UTF-8.</summary>
    public const int TextBytesMax = 4 * 1024 * 1024;

    public required string SchemaVersion { get; init; }

    /// <summary>The text id that the agent had where the file was written.</summary>
    public required string AgentId { get; init; }

    public DateTimeOffset ExportedAt { get; init; }

    public required IReadOnlyList<StateSwarm> Swarms { get; init; }

    public required IReadOnlyList<SwarmId> MutedSwarms { get; init; }

    public required IReadOnlyList<string> MutedAgents { get; init; }

    public required IReadOnlyList<StateKey> PublicKeys { get; init; }

    public required IReadOnlyList<StateReceived> Inbox { get; init; }

    public required IReadOnlyList<StateSent> Outbox { get; init; }
}

/// <param name="Master">The text id of one of the members, as far as the file is sound.</param>
public sealed record StateSwarm(
    SwarmId Id, string Name, string Master, IReadOnlyList<StateMember> Members, DateTimeOffset JoinedAt, SwarmSettings Settings);

/// <param name="PublicKey">The 32 raw bytes.</param>
public sealed record StateMember(string Name, string Endpoint, byte[] PublicKey, DateTimeOffset JoinedAt);

/// <summary>A key that the installation had fetched.</summary>
public sealed record StateKey(string Name, byte[] PublicKey, DateTimeOffset FetchedAt, string? Endpoint);

/// <param name="Recipient">The recipient on the wire; null for own notices and in old files.</param>
/// <param name="Text">The stored text (ASP §5.3).</param>
public sealed record StateReceived(
    MessageId MessageId, SwarmId SwarmId, string Sender, string? Recipient, MessageKind Kind, string Text, DateTimeOffset ReceivedAt, MailStatus Status,
    DateTimeOffset? ReadAt, DateTimeOffset? DeletedAt);

/// <param name="Content">The content alone: an outbox keeps no envelope.</param>
public sealed record StateSent(
    MessageId MessageId, SwarmId SwarmId, string Recipient, MessageKind Kind, string Content, DateTimeOffset SentAt, SentStatus Status, string? Error);
