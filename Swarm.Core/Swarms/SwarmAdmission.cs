using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Messaging.Limits;

namespace Swarm.Core.Swarms;

/// <summary>Somebody who waits for the master's word.</summary>
public sealed record JoinRequestEntry(string Name, string Endpoint, string PublicKey, DateTimeOffset RequestedAt, DateTimeOffset ExpiresAt);

/// <summary>Lets agents into swarms by invite (ASP §6.3, §8.2), at the master's side, and keeps those who wait for its approval.</summary>
public sealed class SwarmAdmission(
    Decisions decisions, Rosters rosters, AgentDirectory directory, SwarmNotices notices, RateLimiter limits, NpgsqlDataSource database,
    AgentOptions options, TimeProvider time)
{
    /// <summary>The most that wait for approval, or were rejected, in one swarm.</summary>
    public const int RequestsMax = 1_000;

    /// <summary>How long a request waits, and how long a rejection is remembered.</summary>
    public static readonly TimeSpan RequestLifetime = TimeSpan.FromDays(30);

    /// <summary>The most members of a swarm.</summary>
    public const int MembersMax = 20_000;

    /// <summary>Admits a peer that asked at the door of <paramref name="host"/>, which must be the swarm's master.</summary>
    /// <exception cref="SwarmException">In the order of ASP §6.3: token, swarm, signature, claims, expiry, revocation, uses; then the applicant's key and its proof.</exception>
    public async Task<JoinOutcome> AdmitAsync(AgentProfile host, JoinApplication application, CancellationToken cancellation)
    {
        var token = InviteToken.Parse(application.Token);
        if (application.Proof is { IsRepeat: true } proof)
        {
            return await RepeatAsync(host, token.SwarmId, application, proof, cancellation);
        }

        var outcome = await AdmitAsync(host, token, application.Name, roster => Read(roster, application), cancellation);
        return application.Proof is null ? outcome with { Settings = null } : outcome;
    }

    /// <summary>
    /// Tells a member how its swarm stands (ASP §10.6, W-13). Its pinned key says that it is one, so the token is only asked which swarm is meant, any
    /// member here may answer, and nobody is admitted. A member that names another key now has that one from then on (W-23).
    /// </summary>
    private async Task<JoinOutcome> RepeatAsync(
        AgentProfile host, SwarmId swarm, JoinApplication application, JoinProof proof, CancellationToken cancellation)
    {
        var roster = CheckRepeat(await rosters.GetFreshAsync(swarm, cancellation), host, swarm, application, proof);
        if (limits.Take(RateKey.Sender(roster.Find(application.Name)!.Agent)) is { IsAllowed: false })
        {
            throw new SwarmException(SwarmError.RateLimited);
        }

        if (application.PublicKey != Convert.ToBase64String(roster.Find(application.Name)!.RawKey))
        {
            var key = PublicKeyText.Parse(application.PublicKey).Export(KeyBlobFormat.RawPublicKey);
            roster = await decisions.RunAsync(
                $"{application.Name} has another key in swarm {swarm}, by the word of its old one",
                async scope =>
                {
                    await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                    var current = CheckRepeat(await rosters.ReadAsync(scope.Db, swarm, cancellation), host, swarm, application, proof);
                    var member = current.Find(application.Name)!;
                    if (member.Kind == AgentKind.Remote)
                    {
                        await RosterChanges.RekeyAsync(scope, current.SwarmNo, member, key, time.GetUtcNow(), cancellation);
                    }

                    return (await rosters.ReadAsync(scope.Db, swarm, cancellation))!;
                },
                cancellation);
        }

        return Accepted(roster) with { MasterChanges = await ReadMasterChangesAsync(roster.SwarmNo, cancellation) };
    }

    private Roster CheckRepeat(Roster? roster, AgentProfile host, SwarmId swarm, JoinApplication application, JoinProof proof)
    {
        if (roster?.Find(host.Id) is not { } asked)
        {
            throw new SwarmException(SwarmError.UnknownSwarm, $"Swarm '{swarm}' not found");
        }

        var member = roster.Find(application.Name) ?? throw new SwarmException(SwarmError.NotAMember, reason: "not_a_member");
        return proof.Verifies(member.Key, asked.Name, application, time.GetUtcNow())
            ? roster
            : throw new SwarmException(SwarmError.InvalidSignature, "The proof does not verify with the key that is known of the member");
    }

    private async Task<IReadOnlyList<byte[]>> ReadMasterChangesAsync(long swarmNo, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select wire from master_changes where swarm_no = $1 order by at");
        command.Parameters.Add(new() { Value = swarmNo });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var changes = new List<byte[]>();
        while (await reader.ReadAsync(cancellation))
        {
            changes.Add(reader.GetFieldValue<byte[]>(0));
        }

        return changes;
    }

    /// <summary>Admits an agent of this node into a swarm whose master is an agent of this node as well.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.RemoteMaster"/>, or as for a peer.</exception>
    public async Task<JoinOutcome> AdmitLocalAsync(AgentProfile applicant, InviteLink invite, CancellationToken cancellation)
    {
        var token = InviteToken.Parse(invite.Jwt);
        var roster = await rosters.GetFreshAsync(token.SwarmId, cancellation);
        var host = roster is null ? null : await directory.FindAsync(roster.MasterId, cancellation);
        if (host is null)
        {
            throw new SwarmException(SwarmError.RemoteMaster, "The master of that swarm does not live on this node.");
        }

        return await AdmitAsync(
            host, token, applicant.Name,
            _ => new(applicant.Id.Value, applicant.Endpoint, applicant.PublicKey.Export(KeyBlobFormat.RawPublicKey)), cancellation);
    }

    /// <summary>Who waits, in the order of their names, after <paramref name="after"/>. Only the master sees it.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownSwarm"/> to strangers, <see cref="SwarmError.NotMaster"/> to members.</exception>
    public async Task<IReadOnlyList<JoinRequestEntry>> ListRequestsAsync(
        AgentProfile master, SwarmId swarm, string after, int limit, CancellationToken cancellation)
    {
        var roster = GetAsMaster(await rosters.GetFreshAsync(swarm, cancellation), master);
        var now = time.GetUtcNow();
        var rows = await decisions.ReadAsync(
            db => db.JoinRequests.AsNoTracking()
                .Where(r => r.SwarmNo == roster.SwarmNo && r.RejectedAt == null && r.ExpiresAt > now && string.Compare(r.Name, after) > 0)
                .OrderBy(r => r.Name).Take(limit).ToListAsync(cancellation),
            cancellation);
        return [.. rows.Select(r => new JoinRequestEntry(r.Name, r.Endpoint, Convert.ToBase64String(r.PublicKey), r.RequestedAt, r.ExpiresAt))];
    }

    /// <summary>Admits somebody who waits, or was rejected before; its invite is used up by this (ASP §8.2).</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.UnknownRequest"/>, <see cref="SwarmError.TokenRevoked"/> or <see cref="SwarmError.TokenExhausted"/>: its invite counts no
    /// more; or as for a join.
    /// </exception>
    public Task ApproveAsync(AgentProfile master, SwarmId swarm, string name, CancellationToken cancellation) => DecideAsync(
        master, swarm, name, "approved",
        async (scope, roster, request) =>
        {
            if (roster.Find(name) is not null)
            {
                throw new SwarmException(SwarmError.AlreadyMember);
            }

            await scope.Db.JoinRequests.Where(r => r.SwarmNo == roster.SwarmNo && r.Name == name).ExecuteDeleteAsync(cancellation);
            var invite = await scope.Db.Invites.AsNoTracking().SingleAsync(i => i.TokenHash == request.TokenHash, cancellation);
            if (invite.RevokedAt is not null)
            {
                throw new SwarmException(SwarmError.TokenRevoked, reason: "token_revoked");
            }

            if (request.AgentNo is { } no && await scope.Db.Agents.AnyAsync(a => a.AgentNo == no && a.RevokedAt != null, cancellation))
            {
                throw new SwarmException(SwarmError.UnknownRequest, "The agent that asked is revoked.");
            }

            await AddMemberAsync(scope, roster, invite, name, _ => new(request.AgentNo, request.Endpoint, request.PublicKey), cancellation);
        },
        cancellation);

    /// <summary>Refuses somebody who waits; a repeat of its join is told so (ASP §8.2).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownRequest"/>.</exception>
    public Task RejectAsync(AgentProfile master, SwarmId swarm, string name, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        return DecideAsync(
            master, swarm, name, "rejected",
            (scope, roster, _) => scope.Db.JoinRequests.Where(r => r.SwarmNo == roster.SwarmNo && r.Name == name)
                .ExecuteUpdateAsync(s => s.SetProperty(r => r.RejectedAt, now).SetProperty(r => r.ExpiresAt, now + RequestLifetime), cancellation),
            cancellation);
    }

    private Task<bool> DecideAsync(
        AgentProfile master, SwarmId swarm, string name, string word, Func<DecisionScope, Roster, JoinRequestRow, Task> act, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"request of {name} to join swarm {swarm} {word} by {master.Name}",
            async scope =>
            {
                var seen = GetAsMaster(await rosters.GetFreshAsync(swarm, cancellation), master);
                await scope.LockSwarmAsync(seen.SwarmNo, cancellation);
                var roster = GetAsMaster(await rosters.ReadAsync(scope.Db, swarm, cancellation), master);
                var request = await FindRequestAsync(scope, roster, name, cancellation) ?? throw new SwarmException(SwarmError.UnknownRequest);
                await act(scope, roster, request);
                return true;
            },
            cancellation);

    private static Roster GetAsMaster(Roster? roster, AgentProfile master) =>
        roster?.Find(master.Id) is null ? throw new SwarmException(SwarmError.UnknownSwarm)
        : roster.MasterId != master.Id ? throw new SwarmException(SwarmError.NotMaster)
        : roster;

    private async Task<JoinOutcome> AdmitAsync(
        AgentProfile host,
        InviteToken token,
        string name,
        Func<Roster, Applicant> read,
        CancellationToken cancellation)
    {
        // Cheap refusals first, without a transaction; everything is checked again under the lock.
        var seen = await rosters.GetFreshAsync(token.SwarmId, cancellation);
        Verify(seen, host, token);
        if (seen!.Find(name) is not null && !await decisions.ReadAsync(db => IsRevokedAsync(db, token, cancellation), cancellation))
        {
            return Accepted(seen);
        }

        return await decisions.RunAsync(
            $"{name} joins swarm {token.SwarmId} by invite {token.Hash}",
            async scope =>
            {
                await scope.LockSwarmAsync(seen.SwarmNo, cancellation);
                var roster = await rosters.ReadAsync(scope.Db, token.SwarmId, cancellation);
                var claims = Verify(roster, host, token);
                var invite = await FindInviteAsync(scope, roster!, token, claims, cancellation);
                if (invite.RevokedAt is not null)
                {
                    throw new SwarmException(SwarmError.TokenRevoked, reason: "token_revoked");
                }

                if (roster!.Find(name) is not null)
                {
                    return Accepted(roster);
                }

                if (roster.RequireApproval)
                {
                    return await WaitAsync(scope, roster, invite, name, read, cancellation);
                }

                return Accepted(await AddMemberAsync(scope, roster, invite, name, read, cancellation));
            },
            cancellation);
    }

    /// <summary>Stores one request for each name; a repeat updates nothing, and one that was rejected is told so (ASP §8.2, W-16).</summary>
    private async Task<JoinOutcome> WaitAsync(
        DecisionScope scope, Roster roster, InviteRow invite, string name, Func<Roster, Applicant> read, CancellationToken cancellation)
    {
        var pending = new JoinOutcome(true, roster.Id, roster.Name, []);
        switch (await FindRequestAsync(scope, roster, name, cancellation))
        {
            case { RejectedAt: null }:
                return pending;
            case not null:
                throw new SwarmException(SwarmError.JoinRejected, reason: "join_rejected");
        }

        if (invite.MaxUses is { } max && invite.Uses >= max)
        {
            throw new SwarmException(SwarmError.TokenExhausted, reason: "max_uses_exceeded");
        }

        var applicant = read(roster);
        CheckRoom(roster, name);
        if (roster.Members.Any(m => m.RawKey.AsSpan().SequenceEqual(applicant.PublicKey)))
        {
            throw KeyIsMember();
        }

        if (await scope.Db.JoinRequests.CountAsync(r => r.SwarmNo == roster.SwarmNo, cancellation) >= RequestsMax)
        {
            throw new SwarmException(SwarmError.LimitReached, $"At most {RequestsMax} requests to join a swarm are kept; the master has to decide on some.");
        }

        var now = time.GetUtcNow();
        scope.Db.JoinRequests.Add(new()
        {
            SwarmNo = roster.SwarmNo,
            Name = name,
            AgentNo = applicant.AgentNo,
            Endpoint = applicant.Endpoint,
            PublicKey = applicant.PublicKey,
            TokenHash = invite.TokenHash,
            RequestedAt = now,
            ExpiresAt = now + RequestLifetime,
        });
        await scope.Db.SaveChangesAsync(cancellation);
        return pending;
    }

    /// <summary>The request of that name, after those that have expired are gone.</summary>
    private async Task<JoinRequestRow?> FindRequestAsync(DecisionScope scope, Roster roster, string name, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        await scope.Db.JoinRequests.Where(r => r.SwarmNo == roster.SwarmNo && r.ExpiresAt <= now).ExecuteDeleteAsync(cancellation);
        return await scope.Db.JoinRequests.AsNoTracking().FirstOrDefaultAsync(r => r.SwarmNo == roster.SwarmNo && r.Name == name, cancellation);
    }

    private static Task<bool> IsRevokedAsync(Storage.SwarmDb db, InviteToken token, CancellationToken cancellation)
    {
        var hash = Convert.FromHexString(token.Hash);
        return db.Invites.AnyAsync(i => i.TokenHash == hash && i.RevokedAt != null, cancellation);
    }

    /// <summary>Swarm held and ours to admit to, then the token's own checks, then its claims against our record.</summary>
    private InviteClaims Verify(Roster? roster, AgentProfile host, InviteToken token)
    {
        if (roster?.Master is not { } master || master.Agent != host.Id)
        {
            throw new SwarmException(SwarmError.UnknownSwarm, $"Swarm '{token.SwarmId}' not found");
        }

        var now = time.GetUtcNow();
        var keys = roster.AllowMemberInvite
            ? roster.Members.Where(m => roster.May(m, SwarmActions.Invite, now)).Select(m => m.Key).Prepend(master.Key)
            : [master.Key];
        var claims = token.Verify(keys, now);
        return claims.Master == master.Name && claims.Endpoint == master.Endpoint
            ? claims
            : throw new SwarmException(SwarmError.InvalidToken, "The token names another master or endpoint than this swarm has");
    }

    private async Task<InviteRow> FindInviteAsync(
        DecisionScope scope, Roster roster, InviteToken token, InviteClaims claims, CancellationToken cancellation)
    {
        var hash = Convert.FromHexString(token.Hash);
        var row = await scope.Db.Invites.AsNoTracking().FirstOrDefaultAsync(i => i.TokenHash == hash, cancellation);
        if (row is null)
        {
            // Signed elsewhere with the master's key: count it from now on.
            row = new()
            {
                TokenHash = hash,
                SwarmNo = roster.SwarmNo,
                CreatedAt = time.GetUtcNow(),
                ExpiresAt = claims.ExpiresAt,
                MaxUses = claims.MaxUses,
            };
            scope.Db.Invites.Add(row);
            await scope.Db.SaveChangesAsync(cancellation);
        }

        return row;
    }

    private static async Task SpendAsync(DecisionScope scope, InviteRow invite, CancellationToken cancellation)
    {
        if (await scope.Db.Invites.Where(i => i.TokenHash == invite.TokenHash && (i.MaxUses == null || i.Uses < i.MaxUses))
                .ExecuteUpdateAsync(s => s.SetProperty(i => i.Uses, i => i.Uses + 1), cancellation) == 0)
        {
            throw new SwarmException(SwarmError.TokenExhausted, reason: "max_uses_exceeded");
        }
    }

    /// <summary>Uses the invite up, adds the member, and tells: the master's inbox of one from elsewhere, and every remote member (ASP §10.2).</summary>
    private async Task<Roster> AddMemberAsync(
        DecisionScope scope, Roster roster, InviteRow invite, string name, Func<Roster, Applicant> read, CancellationToken cancellation)
    {
        await SpendAsync(scope, invite, cancellation);
        var applicant = read(roster);
        CheckRoom(roster, name);
        var now = time.GetUtcNow();
        var no = applicant.AgentNo
            ?? await RosterChanges.FindOrAddForeignAsync(scope, applicant.Endpoint, applicant.PublicKey, now, cancellation);
        if (roster.Find(new AgentId(no)) is not null)
        {
            throw KeyIsMember();
        }

        await RosterChanges.AddAsync(scope, roster.SwarmNo, no, name, applicant.Endpoint, applicant.PublicKey, now, cancellation);
        var changed = (await rosters.ReadAsync(scope.Db, roster.Id, cancellation))!;
        var (master, joined) = (changed.Master!, changed.Find(name)!);
        if (joined.Kind == AgentKind.Remote)
        {
            await notices.RecordJoinAsync(scope, changed, master, joined, cancellation);
        }

        if (await directory.FindAsync(master.Agent, cancellation) is { } profile && await notices.OpenAsync(profile, cancellation) is { } key)
        {
            await notices.JoinedAsync(scope, key, changed, master, joined, cancellation);
        }

        return changed;
    }

    private static void CheckRoom(Roster roster, string name)
    {
        if (!AgentName.IsValidForLocal(name))
        {
            throw new SwarmException(SwarmError.InvalidName);
        }

        if (roster.Members.Count >= MembersMax)
        {
            throw new SwarmException(SwarmError.LimitReached, $"A swarm has at most {MembersMax} members.");
        }
    }

    private static SwarmException KeyIsMember() => new(SwarmError.AlreadyMember, "An agent with this key is a member under another name.");

    /// <summary>It never becomes one of our own agents: a join need not prove that the applicant holds the key (ADR 0004).</summary>
    private Applicant Read(Roster roster, JoinApplication application)
    {
        var key = PublicKeyText.Parse(application.PublicKey);
        if (!Agents.IsValidEndpoint(application.Endpoint))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The endpoint is not an https URL.");
        }

        if (application.Proof is { } proof ? !proof.Verifies(key, roster.Master!.Name, application, time.GetUtcNow()) : options.RequireJoinProof)
        {
            throw new SwarmException(SwarmError.InvalidSignature, "This node asks who joins to prove that it holds the key (member swarm_proof)");
        }

        return new(null, application.Endpoint, key.Export(KeyBlobFormat.RawPublicKey));
    }

    private static JoinOutcome Accepted(Roster roster) => new(false, roster.Id, roster.Name, [.. roster.Members.Select(m => m.ToEntry())])
    {
        Settings = new(roster.AllowMemberInvite, roster.RequireApproval),
    };

    /// <param name="AgentNo">An agent of this node; null for one that lives elsewhere.</param>
    private sealed record Applicant(long? AgentNo, string Endpoint, byte[] PublicKey);
}
