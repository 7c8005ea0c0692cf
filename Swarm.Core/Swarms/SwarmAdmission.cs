using Microsoft.EntityFrameworkCore;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>Lets agents into swarms by invite (ASP §6.3, §8.2), at the master's side.</summary>
public sealed class SwarmAdmission(Decisions decisions, Rosters rosters, AgentDirectory directory, TimeProvider time)
{
    /// <summary>The most members of a swarm.</summary>
    public const int MembersMax = 20_000;

    /// <summary>Admits a peer that asked at the door of <paramref name="host"/>, which must be the swarm's master.</summary>
    /// <exception cref="SwarmException">In the order of ASP §6.3: token, swarm, signature, claims, expiry, revocation, uses; then the applicant's key.</exception>
    public Task<JoinOutcome> AdmitAsync(AgentProfile host, JoinApplication application, CancellationToken cancellation) =>
        AdmitAsync(
            host,
            InviteToken.Parse(application.Token),
            application.Name,
            scope => RemoteAgentAsync(scope, application, cancellation),
            cancellation);

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
            host,
            token,
            applicant.Name,
            _ => Task.FromResult((applicant.Id.Value, applicant.Endpoint, applicant.PublicKey.Export(KeyBlobFormat.RawPublicKey))),
            cancellation);
    }

    private async Task<JoinOutcome> AdmitAsync(
        AgentProfile host,
        InviteToken token,
        string name,
        Func<DecisionScope, Task<(long AgentNo, string Endpoint, byte[] PublicKey)>> applicant,
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
                    return new JoinOutcome(true, roster.Id, roster.Name, []);
                }

                await SpendAsync(scope, invite, cancellation);
                await AddMemberAsync(scope, roster, name, await applicant(scope), cancellation);
                return Accepted((await rosters.ReadAsync(scope.Db, token.SwarmId, cancellation))!);
            },
            cancellation);
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

        var keys = roster.AllowMemberInvite ? roster.Members.Select(m => m.Key).Prepend(master.Key) : [master.Key];
        var claims = token.Verify(keys, time.GetUtcNow());
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

    private async Task AddMemberAsync(
        DecisionScope scope,
        Roster roster,
        string name,
        (long AgentNo, string Endpoint, byte[] PublicKey) applicant,
        CancellationToken cancellation)
    {
        if (!AgentName.IsValidForLocal(name))
        {
            throw new SwarmException(SwarmError.InvalidName);
        }

        if (roster.Members.Count >= MembersMax)
        {
            throw new SwarmException(SwarmError.LimitReached, $"A swarm has at most {MembersMax} members.");
        }

        if (roster.Find(new AgentId(applicant.AgentNo)) is not null)
        {
            throw new SwarmException(SwarmError.AlreadyMember, "An agent with this key is a member under another name.");
        }

        scope.Db.Members.Add(new()
        {
            SwarmNo = roster.SwarmNo,
            AgentNo = applicant.AgentNo,
            Name = name,
            Endpoint = applicant.Endpoint,
            PublicKey = applicant.PublicKey,
            JoinedAt = time.GetUtcNow(),
        });
        await scope.Db.SaveChangesAsync(cancellation);
    }

    /// <summary>
    /// A peer is known by its key: the same key is the same agent in every swarm. It never becomes one of our own agents,
    /// because nothing in a join proves that the applicant holds the key.
    /// </summary>
    private async Task<(long AgentNo, string Endpoint, byte[] PublicKey)> RemoteAgentAsync(
        DecisionScope scope, JoinApplication application, CancellationToken cancellation)
    {
        var key = PublicKeyText.Parse(application.PublicKey).Export(KeyBlobFormat.RawPublicKey);
        if (!Agents.IsValidEndpoint(application.Endpoint))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The endpoint is not an https URL.");
        }

        var known = await scope.Db.Agents.AsNoTracking()
            .FirstOrDefaultAsync(a => a.Kind == AgentKind.Remote && a.PublicKey == key, cancellation);
        if (known is null)
        {
            known = new() { Kind = AgentKind.Remote, Endpoint = application.Endpoint, PublicKey = key, CreatedAt = time.GetUtcNow() };
            scope.Db.Agents.Add(known);
            await scope.Db.SaveChangesAsync(cancellation);
            await scope.Db.Database.ExecuteSqlAsync($"insert into mailboxes (recipient_no) values ({known.AgentNo})", cancellation);
        }

        return (known.AgentNo, application.Endpoint, key);
    }

    private static JoinOutcome Accepted(Roster roster) => new(false, roster.Id, roster.Name, [.. roster.Members.Select(m => m.ToEntry())]);
}
