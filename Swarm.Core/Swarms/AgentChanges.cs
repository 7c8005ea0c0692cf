using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Core.Swarms;

/// <summary>
/// Changes of an agent that every swarm of it has to learn (ASP §10.6): another key, another endpoint. Rosters here change with the agent, members
/// elsewhere are told in the same decision. Only for agents whose key the node holds: the others tell it themselves.
/// </summary>
public sealed class AgentChanges(Decisions decisions, Rosters rosters, HostedKeys keys, KeyVault vault, SwarmNotices notices, AgentDirectory directory, TimeProvider time)
{
    /// <summary>Gives the agent a new key. The notice is signed with the old one, so that receivers can believe it.</summary>
    /// <returns>The agent with its new key.</returns>
    /// <exception cref="SwarmException"><see cref="SwarmError.KeyNotHeld"/>.</exception>
    public async Task<AgentProfile> RotateKeyAsync(AgentProfile agent, CancellationToken cancellation)
    {
        var old = await keys.OpenAsync(agent, cancellation);
        var seed = RandomNumberGenerator.GetBytes(PublicKeys.LengthBytes);
        using var fresh = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        var raw = fresh.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        var sealedSeed = vault.Seal(seed, raw);
        CryptographicOperations.ZeroMemory(seed);
        var now = time.GetUtcNow();
        var before = old.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        return await ChangeAsync(
            agent, $"agent {agent.Name} has a new key",
            async (scope, no) =>
            {
                // The old key vouches for the new one where the notice was missed (W-23).
                await using (var batch = new NpgsqlBatch(scope.Connection))
                {
                    batch.Add(
                        """
                        insert into former_keys (agent_no, public_key, sealed_seed, retired_at)
                        select agent_no, public_key, sealed_seed, $2 from agents where agent_no = $1
                        on conflict (agent_no, public_key) do update set retired_at = excluded.retired_at
                        """,
                        no, now.UtcDateTime);
                    batch.Add(
                        "delete from former_keys where agent_no = $1 and retired_at <= (select retired_at from former_keys where agent_no = $1 order by retired_at desc offset $2 limit 1)",
                        no, FormerKeyRow.PerAgentMax);
                    await batch.ExecuteNonQueryAsync(cancellation);
                }

                // Two rotations at once would both be signed with the same old key.
                if (await scope.Db.Agents.Where(a => a.AgentNo == no && a.RevokedAt == null && a.PublicKey == before)
                        .ExecuteUpdateAsync(s => s.SetProperty(a => a.PublicKey, raw).SetProperty(a => a.SealedSeed, sealedSeed), cancellation) == 0)
                {
                    throw new SwarmException(SwarmError.TooBusy, "The key was changed meanwhile.");
                }

                await scope.Db.Members.Where(m => m.AgentNo == no)
                    .ExecuteUpdateAsync(s => s.SetProperty(m => m.PublicKey, raw).SetProperty(m => m.KeyConfirmedAt, now), cancellation);
            },
            (scope, roster, member) => notices.KeyRotatedAsync(scope, old, roster, member, fresh.PublicKey, cancellation),
            cancellation);
    }

    /// <summary>Moves the agent to another base URL. Invites that name the old one count no more.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.KeyNotHeld"/>, or <see cref="SwarmError.InvalidRequest"/>: it is no https URL.</exception>
    public async Task<AgentProfile> MoveAsync(AgentProfile agent, string endpoint, CancellationToken cancellation)
    {
        if (!Agents.IsValidEndpoint(endpoint))
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"An endpoint starts with https:// and has at most {Agents.EndpointLengthMax} characters.");
        }

        var key = await keys.OpenAsync(agent, cancellation);
        return await ChangeAsync(
            agent, $"agent {agent.Name} moved to {endpoint}",
            async (scope, no) =>
            {
                await scope.Db.Agents.Where(a => a.AgentNo == no).ExecuteUpdateAsync(s => s.SetProperty(a => a.Endpoint, endpoint), cancellation);
                await scope.Db.Members.Where(m => m.AgentNo == no).ExecuteUpdateAsync(s => s.SetProperty(m => m.Endpoint, endpoint), cancellation);
            },
            (scope, roster, member) => notices.MovedAsync(scope, key, roster, member, endpoint, cancellation),
            cancellation);
    }

    private async Task<AgentProfile> ChangeAsync(
        AgentProfile agent, string what, Func<DecisionScope, long, Task> change, Func<DecisionScope, Roster, Member, Task> tell, CancellationToken cancellation)
    {
        var no = agent.Id.Value;
        await decisions.RunAsync(
            what,
            async scope =>
            {
                // In the order of their numbers, like every other who locks several swarms.
                var swarms = await (
                    from m in scope.Db.Members join s in scope.Db.Swarms on m.SwarmNo equals s.SwarmNo
                    where m.AgentNo == no orderby s.SwarmNo select new { s.SwarmNo, s.SwarmId }).ToListAsync(cancellation);
                foreach (var swarm in swarms)
                {
                    await scope.LockSwarmAsync(swarm.SwarmNo, cancellation);
                    if (await rosters.ReadAsync(scope.Db, new(swarm.SwarmId), cancellation) is { } roster && roster.Find(agent.Id) is { } member)
                    {
                        await tell(scope, roster, member);
                    }
                }

                await change(scope, no);
                scope.AgentChanged(no);
                return true;
            },
            cancellation);
        vault.Forget(agent.Id);
        return await directory.FindAsync(agent.Id, cancellation) ?? throw new SwarmException(SwarmError.UnknownAgent);
    }
}
