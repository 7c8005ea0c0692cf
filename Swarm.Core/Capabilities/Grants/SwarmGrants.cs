using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Identity;
using Swarm.Core.Swarms;

namespace Swarm.Core.Capabilities.Grants;

/// <summary>What a swarm demands, and who was granted what.</summary>
/// <param name="A1Swarm">Whose members have the capabilities; null when nothing is demanded.</param>
/// <param name="Capabilities">All that can be granted.</param>
/// <param name="Grants">Of members of the swarm, in the roster's order.</param>
public sealed record SwarmGrantsState(
    Roster Roster, Bytes32? A1Swarm, IReadOnlyList<string> Capabilities, IReadOnlyList<(Member Member, CapabilityMember Grant)> Grants);

/// <summary>What a swarm is to demand from now on.</summary>
/// <param name="Actions">None ends the demands, and every grant with them.</param>
/// <param name="Capabilities">Besides those of the actions; null for none, or for those that are there.</param>
/// <param name="TtlSeconds">How long anything can be granted; null for as long as the node allows.</param>
/// <param name="A1Swarm">An A1 swarm that exists, whose owner grants; null for one of the node's own.</param>
public sealed record WantedDemands(SwarmActions Actions, IReadOnlyList<string>? Capabilities = null, ulong? TtlSeconds = null, Bytes32? A1Swarm = null);

/// <summary>
/// What members may do in a swarm (ADR 26). A swarm that demands something has an A1 swarm; a grant is a membership of that, with a certificate for the member's key
/// and a role. So whatever ends the one (removal, revocation, expiry, by whichever door) ends the other in the same transaction.
/// </summary>
public sealed class SwarmGrants(
    NpgsqlDataSource database, Decisions decisions, Rosters rosters, CapabilitySwarms swarms, CapabilityOptions options, TimeProvider time)
{
    /// <summary>How long a grant lives that names no life of its own, in seconds: 30 days.</summary>
    public const ulong TtlSecondsDefault = 30 * 24 * 3600;

    /// <summary>The most capabilities that a swarm or a grant names.</summary>
    public const int CapabilitiesMax = 256;

    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownSwarm"/>.</exception>
    public async Task<SwarmGrantsState> ReadAsync(SwarmId swarm, CancellationToken cancellation)
    {
        var roster = await GetAsync(swarm, cancellation);
        if (await FindA1SwarmAsync(roster.SwarmNo, cancellation) is not { } a1Swarm || await swarms.FindAsync(a1Swarm, cancellation) is not { } passport)
        {
            return new(roster, null, [], []);
        }

        var grants = (await swarms.ListAsync(a1Swarm, cancellation)).ToDictionary(m => m.Agent);
        return new(
            roster, a1Swarm, passport.Passport.Capabilities,
            [.. roster.Members.Where(m => grants.ContainsKey(Bytes32.Read(m.RawKey))).Select(m => (m, grants[Bytes32.Read(m.RawKey)]))]);
    }

    /// <summary>Says what the swarm demands; it holds for every message that is accepted after this returned.</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.UnknownSwarm"/>; <see cref="SwarmError.NotMaster"/>; <see cref="SwarmError.RemoteMaster"/>;
    /// <see cref="SwarmError.InvalidRequest"/>: other capabilities than the swarm has, or an A1 swarm that cannot serve it.
    /// </exception>
    /// <exception cref="DenialException">A1 refuses the capabilities.</exception>
    public async Task DemandAsync(string actor, AgentProfile? by, SwarmId swarm, WantedDemands wanted, CancellationToken cancellation)
    {
        var roster = await GetAsMasterAsync(by, swarm, cancellation);
        await decisions.RunAsync(
            $"swarm {swarm} demands {(wanted.Actions == SwarmActions.None ? "nothing" : string.Join(", ", SwarmActionNames.Of(wanted.Actions)))} by {actor}",
            async scope =>
            {
                var current = await FindA1SwarmAsync(scope.Connection, roster.SwarmNo, cancellation);
                var next = wanted.Actions == SwarmActions.None ? await EndAsync(scope, swarm, current, cancellation)
                    : current is { } kept ? await KeepAsync(scope, kept, wanted, cancellation)
                    : wanted.A1Swarm is { } given ? await TakeAsync(scope, given, wanted, cancellation)
                    : await swarms.CreateAsync(scope, NameOf(swarm), CapabilitiesOf(wanted), Life(wanted.TtlSeconds), cancellation);
                await scope.LockSwarmAsync(roster.SwarmNo, cancellation);
                if (await FindA1SwarmAsync(scope.Connection, roster.SwarmNo, cancellation) is var now && now != current && now is not null)
                {
                    throw new SwarmException(SwarmError.TooBusy, "Somebody else changed the swarm's demands meanwhile; look at them, and try again.");
                }

                await using var command = new NpgsqlCommand("update swarms set demands = $2, a1_swarm = $3 where swarm_no = $1", scope.Connection);
                command.Parameters.Add(new() { Value = roster.SwarmNo });
                command.Parameters.Add(new() { Value = (short)wanted.Actions });
                command.Parameters.Add(new() { Value = (object?)next?.ToArray() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });
                await command.ExecuteNonQueryAsync(cancellation);
                return true;
            },
            cancellation);
        rosters.Forget(swarm);
    }

    /// <summary>Grants a member a role, in the place of whatever it had.</summary>
    /// <param name="capabilities">What the role lists; null for its default. An orchestrator has all, an auditor nothing.</param>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.UnknownSwarm"/>; <see cref="SwarmError.NotMaster"/>; <see cref="SwarmError.RemoteMaster"/>; <see cref="SwarmError.NotAMember"/>;
    /// <see cref="SwarmError.InvalidRequest"/>: the swarm demands nothing, or the role is none.
    /// </exception>
    /// <exception cref="DenialException">The role lists what the swarm has not, or it would have ended already.</exception>
    /// <exception cref="CapabilityException">The node does not hold the owner's key.</exception>
    public async Task<(Member Member, CapabilityMember Grant, IReadOnlyList<string> SwarmHas, SignedChain? Chain)> GrantAsync(
        string actor, AgentProfile? by, SwarmId swarm, string name, string role, IReadOnlyList<string>? capabilities, ulong ttlSeconds,
        CancellationToken cancellation)
    {
        var (roster, a1Swarm) = await GetDemandingAsync(by, swarm, cancellation);
        var member = roster.Find(name) ?? throw new SwarmException(SwarmError.NotAMember);
        var passport = await swarms.FindAsync(a1Swarm, cancellation) ?? throw new SwarmException(SwarmError.UnknownSwarm);
        var swarmHas = passport.Passport.Capabilities;
        var (grant, chain) = await swarms.AddMemberAsync(
            actor, a1Swarm, Bytes32.Read(member.RawKey), RoleOf(role, capabilities, swarmHas, ttlSeconds), ttlSeconds, null, cancellation);
        rosters.Forget(swarm);
        return (member, grant, swarmHas, chain);
    }

    /// <summary>Takes back what a member was granted, and ends what it has open.</summary>
    /// <exception cref="SwarmException">As for a grant.</exception>
    /// <exception cref="CapabilityException"><see cref="CapabilityFault.MemberNotFound"/>: it was granted nothing.</exception>
    public async Task RevokeAsync(string actor, AgentProfile? by, SwarmId swarm, string name, CancellationToken cancellation)
    {
        var (roster, a1Swarm) = await GetDemandingAsync(by, swarm, cancellation);
        var member = roster.Find(name) ?? throw new SwarmException(SwarmError.NotAMember);
        await swarms.RemoveMemberAsync(actor, a1Swarm, A1Swarm.DidOf(Bytes32.Read(member.RawKey)), cancellation);
        rosters.Forget(swarm);
    }

    /// <summary>A role by its name, with what it may do unless something else is named (A1 §13.1).</summary>
    private static SwarmRole RoleOf(string role, IReadOnlyList<string>? capabilities, IReadOnlyList<string> swarmHas, ulong ttlSeconds)
    {
        IReadOnlyList<string> Or(SwarmActions usual) =>
            capabilities is null ? [.. SwarmActionNames.CapabilitiesOf(usual).Where(swarmHas.Contains)] : Read(capabilities);

        return (role, capabilities) switch
        {
            ("orchestrator", null or []) => SwarmRole.Orchestrator,
            ("auditor", null or []) => SwarmRole.Auditor,
            ("orchestrator" or "auditor", _) => throw new SwarmException(
                SwarmError.InvalidRequest, $"An {role} lists no capabilities: an orchestrator has all, an auditor none."),
            ("supervisor", _) => SwarmRole.Supervisor(Or(SwarmActions.Send | SwarmActions.Invite | SwarmActions.Wake), ttlSeconds),
            ("worker", _) => SwarmRole.Worker(Or(SwarmActions.Send)),
            _ => throw new SwarmException(SwarmError.InvalidRequest, "A role is one of orchestrator, supervisor, worker, auditor."),
        };
    }

    private static IReadOnlyList<string> Read(IReadOnlyList<string> capabilities) =>
        capabilities.Count > CapabilitiesMax ? throw new SwarmException(SwarmError.InvalidRequest, $"At most {CapabilitiesMax} capabilities are named at once.")
        : capabilities.Any(string.IsNullOrEmpty) ? throw new SwarmException(SwarmError.InvalidRequest, "A capability has a name.")
        : [.. capabilities.Select(SwarmActionNames.ToCapability).Distinct(StringComparer.Ordinal)];

    private static IReadOnlyList<string> CapabilitiesOf(WantedDemands wanted) =>
        [.. SwarmActionNames.Capabilities.Concat(Read(wanted.Capabilities ?? [])).Distinct(StringComparer.Ordinal)];

    /// <summary>The name by which the A1 swarm of one of ours is known; nobody else gets it while that exists.</summary>
    private static string NameOf(SwarmId swarm) => $"swarm:{swarm}";

    private ulong Life(ulong? ttlSeconds) => ttlSeconds ?? (ulong)options.PassportTtlSecondsMax;

    /// <summary>Ends the grants; an A1 swarm of somebody else's goes on by itself.</summary>
    private async Task<Bytes32?> EndAsync(DecisionScope scope, SwarmId swarm, Bytes32? current, CancellationToken cancellation)
    {
        if (current is { } there && (await swarms.LockAsync(scope, there, cancellation)).Passport.Namespace == NameOf(swarm))
        {
            await swarms.DeleteAsync(scope, there, cancellation);
        }

        return null;
    }

    private async Task<Bytes32?> KeepAsync(DecisionScope scope, Bytes32 current, WantedDemands wanted, CancellationToken cancellation)
    {
        var has = (await swarms.LockAsync(scope, current, cancellation)).Passport.Capabilities;
        Require(has, wanted);
        return (wanted.A1Swarm ?? current) == current && (wanted.Capabilities is null || CapabilitiesOf(wanted).ToHashSet(StringComparer.Ordinal).SetEquals(has))
            ? current
            : throw new SwarmException(
                SwarmError.InvalidRequest, "The swarm has other capabilities, and grants of them. End its demands first (an empty list); that ends the grants too.");
    }

    private async Task<Bytes32?> TakeAsync(DecisionScope scope, Bytes32 given, WantedDemands wanted, CancellationToken cancellation)
    {
        var passport = await swarms.LockAsync(scope, given, cancellation);
        Require(passport.Passport.Capabilities, wanted);
        return passport.Passport.Root.ExpiresAt > time.UnixNow() && await GrantTable.LockSwarmOfAsync(scope, given.ToArray(), cancellation) is null
            ? given
            : throw new SwarmException(SwarmError.InvalidRequest, "That A1 swarm has expired, or belongs to another swarm.");
    }

    private static void Require(IReadOnlyList<string> has, WantedDemands wanted)
    {
        if (SwarmActionNames.CapabilitiesOf(wanted.Actions).Except(has).FirstOrDefault() is { } missing)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"The A1 swarm lacks the capability {missing}, so nobody could be granted it.");
        }
    }

    private async Task<Roster> GetAsync(SwarmId swarm, CancellationToken cancellation) =>
        await rosters.GetFreshAsync(swarm, cancellation) ?? throw new SwarmException(SwarmError.UnknownSwarm);

    /// <summary>The swarm, if its master lives here and asks; an operator (null) is asked nothing.</summary>
    private async Task<Roster> GetAsMasterAsync(AgentProfile? by, SwarmId swarm, CancellationToken cancellation)
    {
        var roster = await GetAsync(swarm, cancellation);
        return by is not null && roster.Find(by.Id) is null ? throw new SwarmException(SwarmError.UnknownSwarm)
            : by is not null && roster.MasterId != by.Id ? throw new SwarmException(SwarmError.NotMaster)
            : roster.Master is { Kind: AgentKind.Remote } ? throw new SwarmException(SwarmError.RemoteMaster)
            : roster;
    }

    private async Task<(Roster Roster, Bytes32 A1Swarm)> GetDemandingAsync(AgentProfile? by, SwarmId swarm, CancellationToken cancellation)
    {
        var roster = await GetAsMasterAsync(by, swarm, cancellation);
        return await FindA1SwarmAsync(roster.SwarmNo, cancellation) is { } a1Swarm
            ? (roster, a1Swarm)
            : throw new SwarmException(SwarmError.InvalidRequest, "The swarm demands nothing, so there is nothing to grant. Say first what it demands.");
    }

    private async Task<Bytes32?> FindA1SwarmAsync(long swarmNo, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        return await FindA1SwarmAsync(connection, swarmNo, cancellation);
    }

    private static async Task<Bytes32?> FindA1SwarmAsync(NpgsqlConnection connection, long swarmNo, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("select a1_swarm from swarms where swarm_no = $1", connection);
        command.Parameters.Add(new() { Value = swarmNo });
        return await command.ExecuteScalarAsync(cancellation) is byte[] id ? Bytes32.Read(id) : null;
    }
}
