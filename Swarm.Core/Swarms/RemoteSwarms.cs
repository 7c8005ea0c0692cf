using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>What a remote master answered to a join (ASP §8.2): nothing in it is believed before it is checked.</summary>
public sealed record RemoteRoster(SwarmId SwarmId, string SwarmName, IReadOnlyList<(string Name, string Endpoint, string PublicKey)> Members)
{
    /// <summary>Messages by which masters are said to have handed the swarm over, oldest first; only to a member that asked again.</summary>
    public IReadOnlyList<byte[]> MasterChanges { get; init; } = [];
}

/// <summary>Swarms whose master lives on another node: what this node knows of them is what the master told at the join (ASP §10.2).</summary>
public sealed class RemoteSwarms(Decisions decisions, Rosters rosters, KeyVault vault, NpgsqlDataSource database, TimeProvider time)
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
    public async Task<JoinOutcome> AdoptAsync(AgentProfile applicant, InviteLink invite, RemoteRoster answer, CancellationToken cancellation)
    {
        var (master, others) = Check(applicant, invite.Claims.SwarmId, invite.Claims.Master, answer);
        await decisions.RunAsync(
            $"{applicant.Name} joined swarm {answer.SwarmId} of {master.Name} at {master.Endpoint}",
            async scope =>
            {
                var roster = await rosters.ReadAsync(scope.Db, answer.SwarmId, cancellation);
                if (roster is not null)
                {
                    await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                    roster = await ReconcileAsync(
                        scope, (await rosters.ReadAsync(scope.Db, answer.SwarmId, cancellation))!, applicant, master, others, null, cancellation);
                }

                var swarmNo = roster?.SwarmNo ?? await CreateAsync(scope, answer, master, cancellation);
                await AddMissingAsync(scope, swarmNo, roster, others.Prepend(master), cancellation);
                if (!await scope.Db.Members.AnyAsync(m => m.SwarmNo == swarmNo && m.AgentNo == applicant.Id.Value, cancellation))
                {
                    await AddAsync(
                        scope, swarmNo, applicant.Id.Value,
                        new(applicant.Name, applicant.Endpoint, applicant.PublicKey.Export(KeyBlobFormat.RawPublicKey)), cancellation);
                }

                await KeepInviteAsync(scope, swarmNo, applicant, invite, cancellation);
                return true;
            },
            cancellation);
        rosters.Forget(answer.SwarmId);
        var joined = (await rosters.GetAsync(answer.SwarmId, cancellation))!;
        return new(false, joined.Id, joined.Name, [.. joined.Members.Select(m => m.ToEntry())]);
    }

    /// <summary>
    /// Catches up with a swarm by what a member answered to one of this node's agents that asked again (ASP §10.6, W-13). The roster is believed from the
    /// master alone; a change of the master from whoever shows it, because each was signed by the master before, whose key is pinned here.
    /// </summary>
    /// <param name="seen">The roster when it was asked: what changed since is newer than the answer.</param>
    /// <param name="asked">Who answered.</param>
    /// <returns>True when it is the master, so nobody else is to be asked.</returns>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.UnknownSwarm"/>: the agent is no member any more; <see cref="SwarmError.PeerUnreachable"/>: the answer is not usable;
    /// <see cref="SwarmError.AlreadyMember"/>: the master knows the agent by another key.
    /// </exception>
    public async Task<bool> ResyncAsync(
        AgentProfile agent, Roster seen, Member asked, DateTimeOffset askedAt, RemoteRoster answer, CancellationToken cancellation)
    {
        var isMaster = await decisions.RunAsync(
            $"swarm {seen.Id} caught up for {agent.Name} by what {asked.Name} says",
            async scope =>
            {
                await scope.LockSwarmAsync(seen.SwarmNo, cancellation);
                var roster = await rosters.ReadAsync(scope.Db, seen.Id, cancellation);
                if (roster?.Find(agent.Id) is null || roster.Find(asked.Agent)?.Key.Equals(asked.Key) != true)
                {
                    throw new SwarmException(SwarmError.UnknownSwarm);
                }

                var since = await MasterSinceAsync(scope, roster.SwarmNo, cancellation);
                var wasMaster = asked.Agent == roster.MasterId;
                if (wasMaster)
                {
                    roster = await RepairAsync(scope, roster, agent, seen, asked, askedAt, answer, cancellation);
                }

                roster = await FollowAsync(scope, roster, answer.MasterChanges, since, cancellation);
                if (asked.Agent != roster.MasterId)
                {
                    return false;
                }

                if (!wasMaster)
                {
                    await RepairAsync(scope, roster, agent, seen, asked, askedAt, answer, cancellation);
                }

                return true;
            },
            cancellation);
        rosters.Forget(seen.Id);
        return isMaster;
    }

    /// <summary>The invite by which the agent joined; null when none was kept.</summary>
    public async Task<InviteLink?> FindInviteAsync(AgentProfile agent, Roster roster, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select sealed_invite from members where swarm_no = $1 and agent_no = $2");
        command.Parameters.Add(new() { Value = roster.SwarmNo });
        command.Parameters.Add(new() { Value = agent.Id.Value });
        if (await command.ExecuteScalarAsync(cancellation) is not byte[] kept)
        {
            return null;
        }

        var jwt = Encoding.UTF8.GetString(vault.Unseal(kept, InviteContext(roster.SwarmNo, agent)));
        return new(jwt, InviteToken.Parse(jwt).ReadUnverified());
    }

    private async Task KeepInviteAsync(DecisionScope scope, long swarmNo, AgentProfile agent, InviteLink invite, CancellationToken cancellation)
    {
        var kept = vault.Seal(Encoding.UTF8.GetBytes(invite.Jwt), InviteContext(swarmNo, agent));
        await scope.Db.Database.ExecuteSqlAsync(
            $"update members set sealed_invite = {kept} where swarm_no = {swarmNo} and agent_no = {agent.Id.Value}", cancellation);
    }

    private static byte[] InviteContext(long swarmNo, AgentProfile agent) => Encoding.UTF8.GetBytes($"invite {swarmNo} {agent.Id.Value}");

    private async Task<Roster> RepairAsync(
        DecisionScope scope, Roster roster, AgentProfile agent, Roster seen, Member asked, DateTimeOffset askedAt, RemoteRoster answer,
        CancellationToken cancellation)
    {
        var (master, others) = Check(agent, roster.Id, asked.Name, answer);
        roster = await ReconcileAsync(scope, roster, agent, master, others, seen, cancellation);
        var gone = await RemovedSinceAsync(scope, roster.SwarmNo, askedAt - Intake.FutureWindow, cancellation);
        await AddMissingAsync(scope, roster.SwarmNo, roster, others.Where(o => !gone.Contains(o.Name)), cancellation);
        return (await rosters.ReadAsync(scope.Db, roster.Id, cancellation))!;
    }

    /// <summary>Who left or was kicked while the answer was on its way; the window is as wide as clocks may differ.</summary>
    private static async Task<HashSet<string>> RemovedSinceAsync(DecisionScope scope, long swarmNo, DateTimeOffset since, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("select name from lifecycle_marks where swarm_no = $1 and kind = 2 and at >= $2", scope.Connection);
        command.Parameters.Add(new() { Value = swarmNo });
        command.Parameters.Add(new() { Value = since.UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var gone = new HashSet<string>(StringComparer.Ordinal);
        while (await reader.ReadAsync(cancellation))
        {
            gone.Add(reader.GetString(0));
        }

        return gone;
    }

    /// <summary>
    /// Makes those the masters whom each master before made it, by its signature. What was signed before the present master was last certain is
    /// passed over: it may be an old change, shown again by who was the master once.
    /// </summary>
    private async Task<Roster> FollowAsync(
        DecisionScope scope, Roster roster, IReadOnlyList<byte[]> changes, DateTimeOffset since, CancellationToken cancellation)
    {
        foreach (var wire in changes.Take(RosterChanges.MasterChangesMax))
        {
            if (roster.Master is { } master && TryRead(wire, out var message) && message.SwarmId == roster.Id && message.SenderId == master.Name
                && message.Kind == MessageKind.System && AgentName.IsValid(message.Recipient)
                && AspTimestamp.TryParse(message.Timestamp, out var at) && at > since && at <= time.GetUtcNow() + Intake.FutureWindow
                && LifecycleEvent.Read(Encoding.UTF8.GetBytes(message.Content))?.Plan(roster, master, message.Recipient) is LifecycleChange.Crown change
                && MessageSignature.Verify(master.Key, message))
            {
                await scope.Db.Database.ExecuteSqlAsync($"delete from introductions where swarm_no = {roster.SwarmNo}", cancellation);
                await RosterChanges.CrownAsync(scope, roster, change.Successor, at, wire, cancellation);
                roster = (await rosters.ReadAsync(scope.Db, roster.Id, cancellation))!;
                since = at;
            }
        }

        return roster;
    }

    private static bool TryRead(byte[] wire, [NotNullWhen(true)] out AspMessage? message)
    {
        try
        {
            message = MessageParser.Parse(wire);
            return true;
        }
        catch (SwarmException)
        {
            message = null;
            return false;
        }
    }

    /// <summary>Until when it is certain who the master is: it joined here, answered for itself, or was handed the swarm.</summary>
    private static async Task<DateTimeOffset> MasterSinceAsync(DecisionScope scope, long swarmNo, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            select greatest(s.created_at, m.key_confirmed_at, (select max(c.at) from master_changes c where c.swarm_no = s.swarm_no))
            from swarms s left join members m on m.swarm_no = s.swarm_no and m.agent_no = s.master_no
            where s.swarm_no = $1
            """,
            scope.Connection);
        command.Parameters.Add(new() { Value = swarmNo });
        return new((DateTime)(await command.ExecuteScalarAsync(cancellation))!, TimeSpan.Zero);
    }

    private async Task AddMissingAsync(DecisionScope scope, long swarmNo, Roster? roster, IEnumerable<Peer> listed, CancellationToken cancellation)
    {
        foreach (var peer in listed)
        {
            if (roster?.Find(peer.Name) is null)
            {
                await AddPeerAsync(scope, swarmNo, peer, cancellation);
            }
        }
    }

    /// <summary>Takes out who the master does not list any more; agents of this node stay until they leave or are told that they were kicked.</summary>
    /// <param name="seen">Who came after this is not taken out; null: whoever is not listed.</param>
    private async Task<Roster> ReconcileAsync(
        DecisionScope scope, Roster known, AgentProfile applicant, Peer master, List<Peer> others, Roster? seen, CancellationToken cancellation)
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
            throw new SwarmException(
                SwarmError.SwarmExists, "This node knows a swarm of that id with another master. If the master changed: swarm sync learns it from the members.");
        }

        var listed = others.Prepend(master).Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var member in known.Members)
        {
            if (member.Kind == AgentKind.Remote && seen?.Find(member.Agent) is not null == (seen is not null)
                && (startsOver || !listed.Contains(member.Name) || member.Name == applicant.Name))
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

    /// <summary>The master lists the key that is pinned: it is confirmed as of now, and who lives elsewhere is reached where the master says.</summary>
    private async Task ConfirmAsync(DecisionScope scope, long swarmNo, IEnumerable<Peer> listed, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            update members m
            set key_confirmed_at = $4, endpoint = case when a.kind = 3 then u.endpoint else m.endpoint end
            from unnest($2::text[], $3::bytea[], $5::text[]) u (name, key, endpoint), agents a
            where m.swarm_no = $1 and m.name = u.name and m.public_key = u.key and a.agent_no = m.agent_no
            """,
            scope.Connection);
        var peers = listed.ToList();
        command.Parameters.Add(new() { Value = swarmNo });
        command.Parameters.Add(new() { Value = peers.ConvertAll(p => p.Name).ToArray() });
        command.Parameters.Add(new() { Value = peers.ConvertAll(p => p.Key).ToArray() });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = peers.ConvertAll(p => p.Endpoint).ToArray() });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static (Peer Master, List<Peer> Others) Check(AgentProfile applicant, SwarmId swarm, string masterName, RemoteRoster answer)
    {
        if (answer.SwarmId != swarm || answer.SwarmName.Length is 0 or > SwarmLifecycle.NameLengthMax || answer.SwarmName.Any(char.IsControl)
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
            else if (name == masterName)
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
