using System.Globalization;

namespace Peers;

internal sealed record PeerMember(string AgentId, string Endpoint, string PublicKey, string JoinedAt);

/// <summary>A row of <c>swarms</c> with its roster in the order of insertion.</summary>
internal sealed class PeerSwarm
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string Master { get; set; }

    public bool AllowMemberInvite { get; init; }

    public bool RequireApproval { get; init; }

    public List<PeerMember> Members { get; } = [];

    public PeerMember? Find(string agent) => Members.Find(m => m.AgentId == agent);
}

/// <summary>A row of <c>inbox</c>.</summary>
internal sealed class PeerMail
{
    public required string MessageId { get; init; }

    public required string SwarmId { get; init; }

    public required string Sender { get; init; }

    public string? Recipient { get; init; }

    public required string Type { get; init; }

    /// <summary>TOON, or the JSON of an own notice.</summary>
    public required string Content { get; init; }

    public required DateTimeOffset ReceivedAt { get; init; }

    public string Status { get; set; } = "unread";

    public DateTimeOffset? ReadAt { get; set; }
}

/// <summary>A row of <c>outbox</c>: written after a successful send, never changed.</summary>
internal sealed record PeerSent(string MessageId, string SwarmId, string Recipient, string Type, string Content, DateTimeOffset SentAt);

/// <summary>
/// The state that a reference agent keeps (ASP §12), as far as it shows on the wire; in memory, for SQLite is theirs and no part of the protocol.
/// Everything is done under <see cref="Lock"/>.
/// </summary>
internal sealed class PeerStore
{
    public Lock Lock { get; } = new();

    public Dictionary<string, PeerSwarm> Swarms { get; } = [];

    public List<PeerMail> Inbox { get; } = [];

    public List<PeerSent> Outbox { get; } = [];

    public Dictionary<string, string> KeyCache { get; } = [];

    public HashSet<string> MutedAgents { get; } = [];

    public HashSet<string> MutedSwarms { get; } = [];

    public string[] MembersOf(string swarm)
    {
        lock (Lock)
        {
            return Swarms.TryGetValue(swarm, out var known) ? [.. known.Members.Select(m => m.AgentId)] : [];
        }
    }

    public PeerSwarm? Find(string swarm)
    {
        lock (Lock)
        {
            return Swarms.GetValueOrDefault(swarm);
        }
    }

    /// <summary>The text form of times: microseconds, none when zero (§12).</summary>
    public static string TimeText(DateTimeOffset at) => at.UtcDateTime.ToString(
        at.Ticks / 10 % 1_000_000 == 0 ? "yyyy-MM-dd'T'HH:mm:ss'+00:00'" : "yyyy-MM-dd'T'HH:mm:ss.ffffff'+00:00'", CultureInfo.InvariantCulture);
}
