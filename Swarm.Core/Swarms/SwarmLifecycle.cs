using Microsoft.EntityFrameworkCore;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>What a swarm's master decided about it.</summary>
public sealed record SwarmSettings(bool AllowMemberInvite, bool RequireApproval);

/// <summary>A new invite: its URL is shown once, its hash counts and revokes it.</summary>
public sealed record IssuedInvite(string Url, string TokenHash, DateTimeOffset? ExpiresAt, int? MaxUses);

/// <summary>What members do to a swarm: create, invite, leave, kick, transfer, dissolve (ASP §10). Joining is in <see cref="SwarmAdmission"/>.</summary>
public sealed class SwarmLifecycle(Decisions decisions, Rosters rosters, HostedKeys keys, SwarmNotices notices, AgentOptions options, TimeProvider time)
{
    /// <summary>The longest name of a swarm, in characters (ASP §8.2).</summary>
    public const int NameLengthMax = 256;

    /// <summary>The longest life of an invite.</summary>
    public static readonly TimeSpan InviteLifetimeMax = TimeSpan.FromDays(3650);

    /// <summary>Makes a swarm with its master as the only member.</summary>
    /// <param name="id">An id to import, or null for a new one.</param>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidName"/> or <see cref="SwarmError.SwarmExists"/>.</exception>
    public async Task<Roster> CreateAsync(AgentProfile master, string name, SwarmSettings settings, SwarmId? id, CancellationToken cancellation)
    {
        name = name.Trim();
        if (name.Length is 0 or > NameLengthMax || name.Any(char.IsControl) || !IsText(name))
        {
            throw new SwarmException(SwarmError.InvalidName, $"A swarm's name has 1 to {NameLengthMax} characters and no control characters.");
        }

        var swarmId = id ?? new SwarmId(Guid.NewGuid());
        await decisions.RunAsync(
            $"swarm {swarmId} created by {master.Name}",
            async scope =>
            {
                if (await scope.Db.Swarms.AnyAsync(s => s.SwarmId == swarmId.Value, cancellation))
                {
                    throw new SwarmException(SwarmError.SwarmExists);
                }

                var now = time.GetUtcNow();
                var row = new SwarmRow
                {
                    SwarmId = swarmId.Value,
                    Name = name,
                    MasterNo = master.Id.Value,
                    AllowMemberInvite = settings.AllowMemberInvite,
                    RequireApproval = settings.RequireApproval,
                    CreatedAt = now,
                };
                scope.Db.Swarms.Add(row);
                await scope.Db.SaveChangesAsync(cancellation);
                scope.Db.Members.Add(new()
                {
                    SwarmNo = row.SwarmNo,
                    AgentNo = master.Id.Value,
                    Name = master.Name,
                    Endpoint = master.Endpoint,
                    PublicKey = master.PublicKey.Export(KeyBlobFormat.RawPublicKey),
                    JoinedAt = now,
                });
                await scope.Db.SaveChangesAsync(cancellation);
                await scope.LockSwarmAsync(row.SwarmNo, cancellation);
                return true;
            },
            cancellation);
        rosters.Forget(swarmId);
        return (await rosters.GetAsync(swarmId, cancellation))!;
    }

    /// <summary>Signs an invite with the member's own key (ASP §6.1).</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.NotAMember"/>; <see cref="SwarmError.NotMaster"/> where members may not invite; <see cref="SwarmError.KeyNotHeld"/>.
    /// </exception>
    public async Task<IssuedInvite> InviteAsync(
        AgentProfile by, SwarmId swarm, TimeSpan? lifetime, int? maxUses, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(by, swarm, cancellation);
        if (roster.MasterId != by.Id && !roster.AllowMemberInvite)
        {
            throw new SwarmException(SwarmError.NotMaster, "Only the master invites to this swarm.");
        }

        if (!roster.May(roster.Find(by.Id)!, SwarmActions.Invite, time.GetUtcNow()))
        {
            throw new SwarmException(SwarmError.CapabilityRequired);
        }

        if (maxUses is < 1 || lifetime > InviteLifetimeMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "max_uses is at least 1, and an invite lives at most ten years.");
        }

        var master = roster.Master ?? throw new SwarmException(SwarmError.UnknownSwarm);
        var now = time.GetUtcNow();
        var claims = new InviteClaims(swarm, master.Name, master.Endpoint, now, now + lifetime, maxUses);
        var token = InviteToken.Create(claims, await keys.OpenAsync(by, cancellation));
        await decisions.RunAsync(
            $"invite {token.Hash} to swarm {swarm} made by {by.Name}",
            async scope =>
            {
                // The same claims within one second give the same token; it then is the same invite.
                var hash = Convert.FromHexString(token.Hash);
                if (!await scope.Db.Invites.AnyAsync(i => i.TokenHash == hash, cancellation))
                {
                    scope.Db.Invites.Add(new()
                    {
                        TokenHash = hash,
                        SwarmNo = roster.SwarmNo,
                        IssuedBy = by.Id.Value,
                        CreatedAt = now,
                        ExpiresAt = claims.ExpiresAt,
                        MaxUses = maxUses,
                    });
                    await scope.Db.SaveChangesAsync(cancellation);
                }

                return true;
            },
            cancellation);
        return new(token.ToUrl(master.Endpoint), token.Hash, claims.ExpiresAt, maxUses);
    }

    /// <summary>Revokes a token by its hash, known to us or not; its later use is refused (ASP §6.3).</summary>
    public async Task RevokeInviteAsync(AgentProfile by, SwarmId swarm, byte[] tokenHash, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(by, swarm, cancellation);
        if (roster.MasterId != by.Id)
        {
            throw new SwarmException(SwarmError.NotMaster);
        }

        var now = time.GetUtcNow();
        await decisions.RunAsync(
            $"invite {Convert.ToHexStringLower(tokenHash)} to swarm {swarm} revoked by {by.Name}",
            async scope =>
            {
                if (await scope.Db.Invites.Where(i => i.TokenHash == tokenHash && i.SwarmNo == roster.SwarmNo)
                        .ExecuteUpdateAsync(s => s.SetProperty(i => i.RevokedAt, i => i.RevokedAt ?? now), cancellation) == 0)
                {
                    scope.Db.Invites.Add(new() { TokenHash = tokenHash, SwarmNo = roster.SwarmNo, CreatedAt = now, RevokedAt = now });
                    await scope.Db.SaveChangesAsync(cancellation);
                }

                return true;
            },
            cancellation);
    }

    /// <summary>Takes a member out at its own wish.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.NotAMember"/>, or <see cref="SwarmError.MasterMayNotLeave"/>.</exception>
    public async Task<Roster> LeaveAsync(AgentProfile agent, SwarmId swarm, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(agent, swarm, cancellation);
        var key = await notices.OpenAsync(agent, cancellation);
        await RemoveAsync(
            $"{agent.Name} left swarm {swarm}",
            roster,
            current => current.MasterId == agent.Id ? throw new SwarmException(SwarmError.MasterMayNotLeave) : current.Find(agent.Id),
            key is null ? null : (scope, current, leaver) => notices.LeftAsync(scope, key, current, leaver, cancellation),
            cancellation);
        return roster;
    }

    /// <summary>Takes a member out at the master's wish. When this returns, no message of the kicked is accepted any more.</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.NotMaster"/>, <see cref="SwarmError.MayNotKickOneself"/>, or <see cref="SwarmError.NotAMember"/> for an unknown target.
    /// </exception>
    public async Task KickAsync(AgentProfile by, SwarmId swarm, string target, string? reason, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(by, swarm, cancellation);
        var key = await notices.OpenAsync(by, cancellation);
        await RemoveAsync(
            $"{target} kicked from swarm {swarm} by {by.Name}{(reason is null ? "" : $": {reason.Replace('\0', ' ')}")}",
            roster,
            current => current.MasterId != by.Id ? throw new SwarmException(SwarmError.NotMaster)
                : target == by.Name ? throw new SwarmException(SwarmError.MayNotKickOneself)
                : current.Find(target),
            key is null ? null
                : (scope, current, kicked) => notices.KickedAsync(scope, key, current, current.Find(by.Id)!, kicked, reason, cancellation),
            cancellation);
    }

    /// <summary>The roster, for a member; to others the swarm does not exist.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownSwarm"/>.</exception>
    public async Task<Roster> GetAsMemberAsync(AgentProfile agent, SwarmId swarm, CancellationToken cancellation) =>
        await rosters.GetFreshAsync(swarm, cancellation) is { } roster && roster.Find(agent.Id) is not null
            ? roster
            : throw new SwarmException(SwarmError.UnknownSwarm);

    /// <summary>
    /// Makes another member the master, if it accepts (ASP §10.6). Until then nothing changes; from then on the new one decides.
    /// </summary>
    /// <param name="offer">Asks a member that lives elsewhere; true when it accepted. Of this node's agents, those accept that it signs for, as <see cref="AgentOptions.MasterOffers"/> says.</param>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.NotMaster"/>, <see cref="SwarmError.NotAMember"/> for the successor, <see cref="SwarmError.TransferDeclined"/>,
    /// <see cref="SwarmError.KeyNotHeld"/>: the master signs for itself, so it must announce the transfer itself.
    /// </exception>
    public async Task<Roster> TransferAsync(
        AgentProfile by, SwarmId swarm, string successor, Func<AspMessage, Member, CancellationToken, Task<bool>> offer, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(by, swarm, cancellation);
        var (master, chosen) = ChooseSuccessor(roster, by, successor);
        var key = await keys.OpenAsync(by, cancellation);
        if (!(chosen.Kind == AgentKind.Remote
                ? await offer(notices.Offer(key, roster, master, chosen), chosen, cancellation)
                : chosen.Kind == AgentKind.Hosted && (options.MasterOffers == MasterOffers.Accept || chosen.TakesOver)))
        {
            if (chosen.Kind == AgentKind.Hosted)
            {
                await decisions.RunAsync(
                    $"swarm {swarm} offered by {by.Name} to {successor}",
                    async scope =>
                    {
                        await notices.LeaveOfferAsync(scope, key, roster, master, chosen, cancellation);
                        return true;
                    },
                    cancellation);
            }

            throw new SwarmException(
                SwarmError.TransferDeclined,
                $"{SwarmError.TransferDeclined.Meaning} The offer is in its inbox. It may have to agree first (on a Swarm node: swarm agree); then transfer again.");
        }

        // Accepted: not to be given up because the caller hangs up.
        await decisions.RunAsync(
            $"swarm {swarm} transferred by {by.Name} to {successor}",
            async scope =>
            {
                await scope.LockSwarmAsync(roster.SwarmNo, CancellationToken.None);
                var current = await rosters.ReadAsync(scope.Db, swarm, CancellationToken.None) ?? throw new SwarmException(SwarmError.UnknownSwarm);
                var (old, member) = ChooseSuccessor(current, by, successor);
                if (member.Agent != chosen.Agent)
                {
                    throw new SwarmException(SwarmError.NotAMember, "The member that accepted has left meanwhile.");
                }

                var now = time.GetUtcNow();
                var wire = await notices.MasterChangedAsync(scope, key, current, old, member, now, CancellationToken.None);
                await RosterChanges.CrownAsync(scope, current, member, now, wire, CancellationToken.None);
                return true;
            },
            CancellationToken.None);
        return roster;
    }

    /// <summary>Says whether the agent becomes the master when the master offers it (ASP §10.6), where the node asks its agents: <see cref="MasterOffers.Ask"/>.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownSwarm"/>; <see cref="SwarmError.KeyNotHeld"/>: the node could not announce joins for it.</exception>
    public async Task AgreeAsync(AgentProfile agent, SwarmId swarm, bool takesOver, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(agent, swarm, cancellation);
        if (agent.Kind != AgentKind.Hosted)
        {
            throw new SwarmException(SwarmError.KeyNotHeld, "An agent that signs for itself answers offers itself.");
        }

        await decisions.RunAsync(
            $"{agent.Name} {(takesOver ? "agrees" : "does not agree")} to become the master of swarm {swarm}",
            async scope =>
            {
                await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                return await scope.Db.Members.Where(m => m.SwarmNo == roster.SwarmNo && m.AgentNo == agent.Id.Value)
                    .ExecuteUpdateAsync(s => s.SetProperty(m => m.TakesOver, takesOver), cancellation) == 1
                    ? true
                    : throw new SwarmException(SwarmError.UnknownSwarm);
            },
            cancellation);
    }

    /// <summary>Ends the swarm: everybody is told, nobody is a member any more; inboxes stay (ASP §10.6).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.NotMaster"/>.</exception>
    public async Task<Roster> DissolveAsync(AgentProfile by, SwarmId swarm, string reason, CancellationToken cancellation)
    {
        var roster = await GetAsMemberAsync(by, swarm, cancellation);
        var key = await notices.OpenAsync(by, cancellation);
        await decisions.RunAsync(
            $"swarm {swarm} dissolved by {by.Name}: {reason.Replace('\0', ' ')}",
            async scope =>
            {
                await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                var current = await rosters.ReadAsync(scope.Db, swarm, cancellation) ?? throw new SwarmException(SwarmError.UnknownSwarm);
                var master = current.Master is { } found && found.Agent == by.Id ? found : throw new SwarmException(SwarmError.NotMaster);
                if (key is not null)
                {
                    await notices.DissolvedAsync(scope, key, current, master, reason, cancellation);
                }

                await RosterChanges.DissolveAsync(scope, current, time.GetUtcNow(), cancellation);
                return true;
            },
            cancellation);
        return roster;
    }

    private static (Member Master, Member Successor) ChooseSuccessor(Roster roster, AgentProfile by, string successor)
    {
        if (roster.Master is not { } master || master.Agent != by.Id)
        {
            throw new SwarmException(SwarmError.NotMaster);
        }

        var chosen = roster.Find(successor) ?? throw new SwarmException(SwarmError.NotAMember);
        return chosen.Agent != by.Id ? (master, chosen) : throw new SwarmException(SwarmError.InvalidRequest, "The agent is the master already.");
    }

    private Task<bool> RemoveAsync(
        string what, Roster roster, Func<Roster, Member?> choose, Func<DecisionScope, Roster, Member, Task>? tell, CancellationToken cancellation) =>
        decisions.RunAsync(
            what,
            async scope =>
            {
                await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                var current = await rosters.ReadAsync(scope.Db, roster.Id, cancellation) ?? throw new SwarmException(SwarmError.UnknownSwarm);
                var member = choose(current) ?? throw new SwarmException(SwarmError.NotAMember);
                await RosterChanges.RemoveAsync(scope, roster.SwarmNo, member, cancellation);
                if (tell is not null)
                {
                    await tell(scope, current, member);
                }

                return true;
            },
            cancellation);

    private static bool IsText(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && (i + 1 == text.Length || !char.IsSurrogatePair(text[i], text[++i])))
            {
                return false;
            }
        }

        return true;
    }
}
