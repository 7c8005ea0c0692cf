using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>What a remote master answered to a join (ASP §8.2): nothing in it is believed before it is checked.</summary>
public sealed record RemoteRoster(SwarmId SwarmId, string SwarmName, IReadOnlyList<(string Name, string Endpoint, string PublicKey)> Members);

/// <summary>Swarms whose master lives on another node: what this node knows of them is what the master told at the join (ASP §10.2).</summary>
public sealed class RemoteSwarms(Decisions decisions, Rosters rosters, TimeProvider time)
{
    private readonly ConcurrentDictionary<(AgentId Agent, SwarmId Swarm), int> _joining = new();

    /// <summary>
    /// Whether an agent's join is on its way from this replica. Other members may be told of the agent before the master answers it: what they send
    /// then must be told to come again, for reference clients never repeat what was answered 404.
    /// </summary>
    public bool IsJoining(AgentId? agent, SwarmId swarm) => agent is { } joiner && _joining.ContainsKey((joiner, swarm));

    /// <summary>Notes that the agent's join is on its way, until that is disposed.</summary>
    public IDisposable Joining(AgentId agent, SwarmId swarm)
    {
        _joining.AddOrUpdate((agent, swarm), 1, (_, count) => count + 1);
        return new Journey(() =>
        {
            while (_joining.TryGetValue((agent, swarm), out var count)
                && !(count == 1 ? _joining.TryRemove(new((agent, swarm), count)) : _joining.TryUpdate((agent, swarm), count - 1, count)))
            {
                // Another join of the same agent came or went meanwhile.
            }
        });
    }

    /// <summary>
    /// Keeps the swarm and its roster after the master has admitted the applicant. Where it is known already this repairs drift (ASP §10.6): who is
    /// missing in the answer goes, who is new comes, pinned keys stay. Where no agent of this node is a member any more, it starts over.
    /// </summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.PeerUnreachable"/>: the answer is not usable; <see cref="SwarmError.AlreadyMember"/>: the name belongs to another key there;
    /// <see cref="SwarmError.SwarmExists"/>: this node knows a swarm of that id with another master.
    /// </exception>
    public async Task<JoinOutcome> AdoptAsync(AgentProfile applicant, InviteClaims claims, RemoteRoster answer, CancellationToken cancellation)
    {
        var (master, others) = Check(applicant, claims, answer);
        await decisions.RunAsync(
            $"{applicant.Name} joined swarm {answer.SwarmId} of {master.Name} at {master.Endpoint}",
            async scope =>
            {
                var roster = await rosters.ReadAsync(scope.Db, answer.SwarmId, cancellation);
                if (roster is not null)
                {
                    await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                    roster = await ReconcileAsync(
                        scope, (await rosters.ReadAsync(scope.Db, answer.SwarmId, cancellation))!, applicant, master, others, cancellation);
                }

                var swarmNo = roster?.SwarmNo ?? await CreateAsync(scope, answer, master, cancellation);
                foreach (var peer in others.Prepend(master))
                {
                    if (roster?.Find(peer.Name) is null)
                    {
                        await AddPeerAsync(scope, swarmNo, peer, cancellation);
                    }
                }

                if (!await scope.Db.Members.AnyAsync(m => m.SwarmNo == swarmNo && m.AgentNo == applicant.Id.Value, cancellation))
                {
                    await AddAsync(
                        scope, swarmNo, applicant.Id.Value,
                        new(applicant.Name, applicant.Endpoint, applicant.PublicKey.Export(KeyBlobFormat.RawPublicKey)), cancellation);
                }

                return true;
            },
            cancellation);
        rosters.Forget(answer.SwarmId);
        var joined = (await rosters.GetAsync(answer.SwarmId, cancellation))!;
        return new(false, joined.Id, joined.Name, [.. joined.Members.Select(m => m.ToEntry())]);
    }

    /// <summary>Takes out who the master does not list any more; agents of this node stay until they leave or are told that they were kicked.</summary>
    private async Task<Roster> ReconcileAsync(
        DecisionScope scope, Roster known, AgentProfile applicant, Peer master, List<Peer> others, CancellationToken cancellation)
    {
        var db = scope.Db;
        if (await db.Swarms.AnyAsync(
                s => s.SwarmNo == known.SwarmNo
                    && (s.DissolvedAt != null || db.Agents.Any(a => a.AgentNo == s.MasterNo && a.Kind != AgentKind.Remote)), cancellation))
        {
            throw new SwarmException(SwarmError.SwarmExists, "This node knows a swarm of that id with another master, or as dissolved.");
        }

        var startsOver = known.Members.All(m => m.Kind == AgentKind.Remote);
        if (!startsOver && known.Master?.RawKey.AsSpan().SequenceEqual(master.Key) != true)
        {
            throw new SwarmException(SwarmError.SwarmExists, "This node knows a swarm of that id with another master.");
        }

        var listed = others.Prepend(master).Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var member in known.Members)
        {
            if (member.Kind == AgentKind.Remote && (startsOver || !listed.Contains(member.Name) || member.Name == applicant.Name))
            {
                await RosterChanges.RemoveAsync(scope, known.SwarmNo, member, cancellation);
            }
        }

        if (startsOver && await RemoteAgentAsync(scope, master, cancellation) is { } no)
        {
            // Announcements of the time before say nothing any more.
            await db.Database.ExecuteSqlAsync($"delete from introductions where swarm_no = {known.SwarmNo}", cancellation);
            await scope.Db.Swarms.Where(s => s.SwarmNo == known.SwarmNo).ExecuteUpdateAsync(s => s.SetProperty(x => x.MasterNo, no), cancellation);
        }

        await ConfirmAsync(scope, known.SwarmNo, others.Prepend(master), cancellation);
        return (await rosters.ReadAsync(scope.Db, known.Id, cancellation))!;
    }

    /// <summary>The master lists the key that is pinned: it is confirmed as of now.</summary>
    private async Task ConfirmAsync(DecisionScope scope, long swarmNo, IEnumerable<Peer> listed, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            update members m set key_confirmed_at = $4 from unnest($2::text[], $3::bytea[]) u (name, key)
            where m.swarm_no = $1 and m.name = u.name and m.public_key = u.key
            """,
            scope.Connection);
        var peers = listed.ToList();
        command.Parameters.Add(new() { Value = swarmNo });
        command.Parameters.Add(new() { Value = peers.ConvertAll(p => p.Name).ToArray() });
        command.Parameters.Add(new() { Value = peers.ConvertAll(p => p.Key).ToArray() });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static (Peer Master, List<Peer> Others) Check(AgentProfile applicant, InviteClaims claims, RemoteRoster answer)
    {
        if (answer.SwarmId != claims.SwarmId || answer.SwarmName.Length is 0 or > SwarmLifecycle.NameLengthMax || answer.SwarmName.Any(char.IsControl)
            || answer.Members.Count > SwarmAdmission.MembersMax)
        {
            throw new SwarmException(SwarmError.PeerUnreachable, "The master's answer names another swarm, or none, or too many members.");
        }

        Peer? master = null;
        var others = new List<Peer>();
        var admitted = false;
        var own = applicant.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        foreach (var (name, endpoint, publicKey) in answer.Members)
        {
            if (!AgentName.IsValidForLocal(name) || !Agents.IsValidEndpoint(endpoint) || !PublicKeyText.TryParse(publicKey, out var key))
            {
                throw new SwarmException(SwarmError.PeerUnreachable, "The master's answer holds a member that is none.");
            }

            var peer = new Peer(name, endpoint, key.Export(KeyBlobFormat.RawPublicKey));
            if (name == applicant.Name)
            {
                admitted = peer.Key.AsSpan().SequenceEqual(own)
                    ? true
                    : throw new SwarmException(SwarmError.AlreadyMember, "Another agent of that name is a member of the swarm at its master.");
            }
            else if (name == claims.Master)
            {
                master = peer;
            }
            else
            {
                others.Add(peer);
            }
        }

        return master is not null && admitted
            ? (master, others)
            : throw new SwarmException(SwarmError.PeerUnreachable, "The master's answer lists neither its own agent nor the joined one.");
    }

    private async Task<long> CreateAsync(DecisionScope scope, RemoteRoster answer, Peer master, CancellationToken cancellation)
    {
        var row = new SwarmRow
        {
            SwarmId = answer.SwarmId.Value,
            Name = answer.SwarmName,
            MasterNo = await RemoteAgentAsync(scope, master, cancellation)
                ?? throw new SwarmException(SwarmError.PeerUnreachable, "The master's answer says that an agent of this node is the master."),
            AllowMemberInvite = false,
            RequireApproval = false,
            CreatedAt = time.GetUtcNow(),
        };
        scope.Db.Swarms.Add(row);
        await scope.Db.SaveChangesAsync(cancellation);
        await scope.LockSwarmAsync(row.SwarmNo, cancellation);
        return row.SwarmNo;
    }

    /// <summary>
    /// A member that this node did not know. One with the key of a local agent is left out: the master cannot make an agent of this node a
    /// member, only its own join can.
    /// </summary>
    private async Task AddPeerAsync(DecisionScope scope, long swarmNo, Peer peer, CancellationToken cancellation)
    {
        if (await RemoteAgentAsync(scope, peer, cancellation) is { } no
            && !await scope.Db.Members.AnyAsync(m => m.SwarmNo == swarmNo && (m.AgentNo == no || m.Name == peer.Name), cancellation))
        {
            await AddAsync(scope, swarmNo, no, peer, cancellation);
        }
    }

    private Task<long?> RemoteAgentAsync(DecisionScope scope, Peer peer, CancellationToken cancellation) =>
        RosterChanges.FindOrAddRemoteAsync(scope, peer.Endpoint, peer.Key, time.GetUtcNow(), cancellation);

    private Task AddAsync(DecisionScope scope, long swarmNo, long agentNo, Peer peer, CancellationToken cancellation) =>
        RosterChanges.AddAsync(scope, swarmNo, agentNo, peer.Name, peer.Endpoint, peer.Key, time.GetUtcNow(), cancellation);

    private sealed record Peer(string Name, string Endpoint, byte[] Key);

    private sealed class Journey(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
