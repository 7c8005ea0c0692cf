using System.Collections.Frozen;
using NSec.Cryptography;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;

namespace Swarm.Core.Swarms;

/// <summary>One member as a roster snapshot shows it.</summary>
/// <param name="Agent">The agent behind the name.</param>
/// <param name="Kind">Where its key is.</param>
/// <param name="Name">Its name within this swarm.</param>
/// <param name="Endpoint">Its https base URL as given at the join.</param>
/// <param name="Key">The key pinned at the join, parsed.</param>
/// <param name="RawKey">The same key as its 32 bytes.</param>
/// <param name="JoinedAt">When it joined.</param>
public sealed record Member(AgentId Agent, AgentKind Kind, string Name, string Endpoint, PublicKey Key, byte[] RawKey, DateTimeOffset JoinedAt)
{
    /// <summary>When the pinned key was last confirmed or rotated; null: not since the join.</summary>
    public DateTimeOffset? KeyConfirmedAt { get; init; }

    /// <summary>It agreed to become the master when the master offers it.</summary>
    public bool TakesOver { get; init; }

    /// <summary>What it was granted; null for nothing, and where the swarm demands nothing.</summary>
    public MemberGrant? Grant { get; init; }

    public RosterEntry ToEntry() => new(Name, Endpoint, Convert.ToBase64String(RawKey), JoinedAt);
}

/// <summary>A swarm and its members at one version; immutable.</summary>
public sealed class Roster
{
    private readonly FrozenDictionary<string, Member> _byName;
    private readonly FrozenDictionary<AgentId, Member> _byAgent;

    public Roster(SwarmRow row, IReadOnlyList<Member> members, RosterMutes? mutes, long loadedAt)
    {
        SwarmNo = row.SwarmNo;
        Id = new(row.SwarmId);
        Name = row.Name;
        Version = row.Version;
        MasterId = new(row.MasterNo);
        AllowMemberInvite = row.AllowMemberInvite;
        RequireApproval = row.RequireApproval;
        CreatedAt = row.CreatedAt;
        Demands = row.Demands;
        Members = members;
        Mutes = mutes;
        LoadedAt = loadedAt;
        _byName = members.ToFrozenDictionary(m => m.Name, StringComparer.Ordinal);
        _byAgent = members.ToFrozenDictionary(m => m.Agent);
    }

    public long SwarmNo { get; }

    public SwarmId Id { get; }

    public string Name { get; }

    /// <summary>The fence: the commit accepts only messages that were checked against the current version.</summary>
    public long Version { get; }

    public AgentId MasterId { get; }

    public bool AllowMemberInvite { get; }

    public bool RequireApproval { get; }

    public DateTimeOffset CreatedAt { get; }

    /// <summary>What members other than the master need a capability for.</summary>
    public SwarmActions Demands { get; }

    /// <summary>In insertion order.</summary>
    public IReadOnlyList<Member> Members { get; }

    /// <summary>Whom its members do not want to hear; null when nobody mutes anything here.</summary>
    public RosterMutes? Mutes { get; }

    /// <summary>When it was read, as a <see cref="TimeProvider.GetTimestamp"/>.</summary>
    public long LoadedAt { get; }

    /// <summary>The master's row; null when it is gone from the roster.</summary>
    public Member? Master => Find(MasterId);

    /// <summary>Whether a member may do that: it is not demanded, or the member is the master, or it has a grant that has not run out.</summary>
    public bool May(Member member, SwarmActions action, DateTimeOffset now) =>
        (Demands & action) == 0 || member.Agent == MasterId || (member.Grant is { } grant && (grant.Actions & action) == action && now < grant.ExpiresAt);

    public Member? Find(string name) => _byName.GetValueOrDefault(name);

    public Member? Find(AgentId agent) => _byAgent.GetValueOrDefault(agent);
}
