using System.Buffers;
using System.Text.Json;
using NSec.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>A member of an A1 swarm.</summary>
/// <param name="Agent">Its public key.</param>
/// <param name="Fingerprint">Of the certificate that came with the membership; null for a role without capabilities.</param>
/// <param name="LastSeen">The last heartbeat, in Unix seconds; null before the first.</param>
public sealed record CapabilityMember(Bytes32 Agent, SwarmRole Role, ulong IssuedAt, ulong ExpiresAt, Bytes32? Fingerprint, ulong? LastSeen)
{
    public string Did => A1Swarm.DidOf(Agent);

    public bool IsExpired(ulong now) => now >= ExpiresAt;
}

/// <summary>
/// Swarms of A1 (A1 §13, §20): a passport of the owner's, members with roles, and every certificate that was issued to a member, so that whoever is
/// removed can do nothing more from that transaction on.
/// </summary>
public sealed class CapabilitySwarms(NpgsqlDataSource database, Decisions decisions, PassportTable table, TimeProvider time)
{
    public const int MembersMax = 100_000;

    private const string MemberColumns = "agent, role, issued_at, expires_at, fingerprint, last_seen";

    /// <summary>Creates a swarm; the same again changes nothing and keeps the members.</summary>
    /// <returns>Its id, and who owns it.</returns>
    /// <exception cref="CapabilityException"><see cref="CapabilityFault.Conflict"/>: its id is taken by another owner, name or set of capabilities.</exception>
    public async Task<(Bytes32 Id, Bytes32 Owner)> CreateAsync(
        string actor, string name, IReadOnlyList<string> capabilities, ulong ttlSeconds, PassportHolder holder, CancellationToken cancellation)
    {
        var (passport, sealedSeed) = table.Make(name, capabilities, ttlSeconds, holder);
        var id = A1Swarm.IdOf(name, passport.Mask);
        if (await FindAsync(id, cancellation) is { } existing)
        {
            return Agree(existing);
        }

        try
        {
            return await decisions.RunAsync(
                $"a1 swarm {id} created by {actor}, owner {A1Swarm.DidOf(passport.Root.Delegate)}",
                async scope => (id, await InsertAsync(scope, id, passport, sealedSeed, cancellation)), cancellation);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            // Somebody created it meanwhile.
            return Agree(await FindAsync(id, cancellation) ?? throw CapabilityException.SwarmNotFound());
        }

        (Bytes32 Id, Bytes32 Owner) Agree(StoredPassport there) =>
            there.Passport.Namespace == name
            && there.Passport.Capabilities.ToHashSet(StringComparer.Ordinal).SetEquals(capabilities)
            && (holder is { Key: null, Made: null } ? there.SealedSeed is not null : there.Holder == passport.Root.Delegate)
                ? (id, there.Holder)
                : throw new CapabilityException(CapabilityFault.Conflict, "a swarm with that id exists, with another owner or other capabilities");
    }

    /// <summary>Creates a swarm whose key the node holds, as part of a decision.</summary>
    /// <exception cref="DenialException">A1's own refusals of its capabilities.</exception>
    internal async Task<Bytes32> CreateAsync(
        DecisionScope scope, string name, IReadOnlyList<string> capabilities, ulong ttlSeconds, CancellationToken cancellation)
    {
        var (passport, sealedSeed) = table.Make(name, capabilities, ttlSeconds, default);
        var id = A1Swarm.IdOf(name, passport.Mask);
        try
        {
            await InsertAsync(scope, id, passport, sealedSeed, cancellation);
            return id;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            throw new CapabilityException(CapabilityFault.Conflict, $"an A1 swarm of the name '{name}' exists already");
        }
    }

    /// <summary>Adds a member or puts it into another role; what it had been given before is revoked.</summary>
    /// <returns>The member, and the chain of its first certificate; null for a role that lists nothing.</returns>
    /// <exception cref="CapabilityException">No such swarm, another key than the owner's, or the swarm is full.</exception>
    /// <exception cref="DenialException">The role lists what the swarm has not, or the membership would have ended already.</exception>
    public Task<(CapabilityMember Member, SignedChain? Chain)> AddMemberAsync(
        string actor, Bytes32 swarm, Bytes32 agent, SwarmRole role, ulong ttlSeconds, Key? given, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 swarm {swarm} member {A1Swarm.DidOf(agent)} added as {role.Name} by {actor}",
            async scope =>
            {
                var passport = await LockAsync(scope, swarm, cancellation);
                await GrantTable.LockSwarmOfAsync(scope, swarm.ToArray(), cancellation);
                var now = time.UnixNow();
                var expiresAt = Math.Min(now + table.LifeOf(ttlSeconds), passport.Passport.Root.ExpiresAt);
                if (now >= expiresAt)
                {
                    throw new DenialException(Denial.WireFormat($"issued_at ({now}) must be strictly less than expiration_unix ({expiresAt})"));
                }

                if (A1Swarm.CheckRole(role, passport.Passport.Capabilities) is { } narrowing)
                {
                    throw new DenialException(narrowing);
                }

                var chain = table.WithKey(passport, given, key =>
                    role.Kind == SwarmRoleKind.Orchestrator || role.Capabilities.Count > 0 ? Issue(key, passport, role, agent, ttlSeconds, expiresAt) : null);
                if (await IsFullAsync(scope.Connection, swarm, agent, cancellation))
                {
                    throw new CapabilityException(CapabilityFault.LimitReached, $"a swarm has at most {MembersMax} members");
                }

                await table.RevokeAsync(scope, passport.No, agent, cancellation);
                if (chain is not null)
                {
                    await PassportTable.RecordAsync(scope, passport.No, chain.Certificates[0], agent, cancellation);
                }

                var member = new CapabilityMember(agent, role, now, expiresAt, chain?.Certificates[0].Fingerprint(), null);
                await InsertAsync(scope.Connection, swarm, member, cancellation);
                return (member, chain);
            },
            cancellation);

    /// <summary>Removes a member and revokes every certificate that it was issued here.</summary>
    /// <exception cref="CapabilityException">No such swarm or member.</exception>
    public Task RemoveMemberAsync(string actor, Bytes32 swarm, string did, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 swarm {swarm} member removed by {actor}",
            async scope =>
            {
                var passport = await LockAsync(scope, swarm, cancellation);
                var swarmNo = await GrantTable.LockSwarmOfAsync(scope, swarm.ToArray(), cancellation);
                var member = await FindMemberAsync(scope.Connection, swarm, Parse(did), cancellation);
                scope.Found += $", {member.Did}";
                await table.RevokeAsync(scope, passport.No, member.Agent, cancellation);
                await ExecuteAsync(
                    scope.Connection, "delete from a1_members where swarm_id = $1 and agent = $2", cancellation, swarm.ToArray(), member.Agent.ToArray());
                if (swarmNo is { } no)
                {
                    await GrantTable.EndWorkAsync(scope, no, [member.Agent.ToArray()], cancellation);
                }

                return true;
            },
            cancellation);

    /// <summary>Ends the swarm: its members, its passport, and every certificate of theirs.</summary>
    public Task DeleteAsync(string actor, Bytes32 swarm, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 swarm {swarm} deleted by {actor}",
            async scope =>
            {
                await DeleteAsync(scope, swarm, cancellation);
                return true;
            },
            cancellation);

    /// <summary>The same as part of a decision.</summary>
    /// <exception cref="CapabilityException">No such swarm.</exception>
    internal async Task DeleteAsync(DecisionScope scope, Bytes32 swarm, CancellationToken cancellation)
    {
        var passport = await LockAsync(scope, swarm, cancellation);
        if (await GrantTable.LockSwarmOfAsync(scope, swarm.ToArray(), cancellation) is { } swarmNo)
        {
            await GrantTable.EndWorkAsync(scope, swarmNo, swarm, cancellation);
        }

        await ExecuteAsync(scope.Connection, "delete from a1_swarms where swarm_id = $1", cancellation, swarm.ToArray());
        await table.RevokeAsync(scope, passport.No, cancellation);
    }

    /// <summary>A fresh chain for a member, no wider than its role.</summary>
    /// <exception cref="CapabilityException">No such swarm or member, an expired one, or another key than the owner's.</exception>
    /// <exception cref="DenialException">The role has no capabilities.</exception>
    public Task<SignedChain> IssueChainAsync(string actor, Bytes32 swarm, Bytes32 agent, ulong ttlSeconds, Key? given, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 swarm {swarm} chain issued to {A1Swarm.DidOf(agent)} by {actor}",
            async scope =>
            {
                var passport = await LockAsync(scope, swarm, cancellation);
                var member = await FindMemberAsync(scope.Connection, swarm, agent, cancellation);
                RequireCurrent(member);
                var chain = table.WithKey(passport, given, key => Issue(key, passport, member.Role, agent, ttlSeconds, member.ExpiresAt));
                await PassportTable.RecordAsync(scope, passport.No, chain.Certificates[0], agent, cancellation);
                return chain;
            },
            cancellation);

    /// <summary>Members whose time has not run out, oldest first.</summary>
    /// <exception cref="CapabilityException">No such swarm.</exception>
    public async Task<IReadOnlyList<CapabilityMember>> ListAsync(Bytes32 swarm, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var command = new NpgsqlCommand(
            $"select {MemberColumns} from a1_members where swarm_id = $1 and expires_at > $2 order by issued_at, agent", connection);
        command.Parameters.Add(new() { Value = swarm.ToArray() });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(time.UnixNow()) });
        var members = new List<CapabilityMember>();
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                members.Add(ReadMember(reader));
            }
        }

        return members.Count > 0 || await ExistsAsync(connection, swarm, cancellation) ? members : throw CapabilityException.SwarmNotFound();
    }

    /// <summary>Notes that a member lives; extends nothing.</summary>
    /// <returns>When, in Unix seconds.</returns>
    /// <exception cref="CapabilityException">No such swarm or member, or an expired one.</exception>
    public async Task<ulong> HeartbeatAsync(Bytes32 swarm, string did, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        if (!await ExistsAsync(connection, swarm, cancellation))
        {
            throw CapabilityException.SwarmNotFound();
        }

        var member = await FindMemberAsync(connection, swarm, Parse(did), cancellation);
        RequireCurrent(member);
        var now = time.UnixNow();
        await ExecuteAsync(
            connection, "update a1_members set last_seen = greatest(last_seen, $3) where swarm_id = $1 and agent = $2", cancellation,
            swarm.ToArray(), member.Agent.ToArray(), UnixTime.ToStored(now));
        return now;
    }

    private SignedChain Issue(Key key, StoredPassport passport, SwarmRole role, Bytes32 agent, ulong ttlSeconds, ulong memberExpiresAt) =>
        A1Swarm.IssueChain(key, passport.Passport, role, agent, time.UnixNow(), ttlSeconds, memberExpiresAt, PassportTable.NewNonce());

    private void RequireCurrent(CapabilityMember member)
    {
        if (member.IsExpired(time.UnixNow()))
        {
            throw new CapabilityException(CapabilityFault.MemberExpired, "the membership has expired");
        }
    }

    /// <summary>The key of a DID in the one form that members have; nobody has any other.</summary>
    private static Bytes32 Parse(string did) =>
        did.StartsWith("did:a1:", StringComparison.Ordinal) && Bytes32.TryParse(did.AsSpan(7), out var agent) && A1Swarm.DidOf(agent) == did
            ? agent
            : throw CapabilityException.MemberNotFound();

    /// <summary>The swarm's passport; null when there is no such swarm.</summary>
    internal async Task<StoredPassport?> FindAsync(Bytes32 swarm, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        return await FindAsync(connection, swarm, "", cancellation);
    }

    /// <summary>The swarm's passport, with the swarm locked against every other change of it.</summary>
    internal async Task<StoredPassport> LockAsync(DecisionScope scope, Bytes32 swarm, CancellationToken cancellation) =>
        await FindAsync(scope.Connection, swarm, "for update of s", cancellation) ?? throw CapabilityException.SwarmNotFound();

    private async Task<StoredPassport?> FindAsync(NpgsqlConnection connection, Bytes32 swarm, string locking, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"select p.passport_no, p.document, p.sealed_seed, p.file_name from a1_swarms s join a1_passports p using (passport_no) where s.swarm_id = $1 {locking}",
            connection);
        command.Parameters.Add(new() { Value = swarm.ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? table.Read(reader, 0) : null;
    }

    private async Task<Bytes32> InsertAsync(DecisionScope scope, Bytes32 id, Passport passport, byte[]? sealedSeed, CancellationToken cancellation)
    {
        var stored = await table.InsertAsync(scope, passport, sealedSeed, null, cancellation);
        await ExecuteAsync(
            scope.Connection, "insert into a1_swarms (swarm_id, passport_no, created_at) values ($1, $2, $3)", cancellation,
            id.ToArray(), stored.No, time.GetUtcNow().UtcDateTime);
        return stored.Holder;
    }

    private static async Task<bool> ExistsAsync(NpgsqlConnection connection, Bytes32 swarm, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("select exists (select 1 from a1_swarms where swarm_id = $1)", connection);
        command.Parameters.Add(new() { Value = swarm.ToArray() });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static async Task<CapabilityMember> FindMemberAsync(NpgsqlConnection connection, Bytes32 swarm, Bytes32 agent, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select {MemberColumns} from a1_members where swarm_id = $1 and agent = $2", connection);
        command.Parameters.Add(new() { Value = swarm.ToArray() });
        command.Parameters.Add(new() { Value = agent.ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? ReadMember(reader) : throw CapabilityException.MemberNotFound();
    }

    private static async Task<bool> IsFullAsync(NpgsqlConnection connection, Bytes32 swarm, Bytes32 agent, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "select count(*) >= $3 from (select 1 from a1_members where swarm_id = $1 and agent <> $2 limit $3) m", connection);
        command.Parameters.Add(new() { Value = swarm.ToArray() });
        command.Parameters.Add(new() { Value = agent.ToArray() });
        command.Parameters.Add(new() { Value = MembersMax });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static async Task InsertAsync(NpgsqlConnection connection, Bytes32 swarm, CapabilityMember member, CancellationToken cancellation)
    {
        var role = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(role))
        {
            member.Role.Write(json);
        }

        await using var command = new NpgsqlCommand(
            """
            insert into a1_members (swarm_id, agent, role, issued_at, expires_at, fingerprint) values ($1, $2, $3, $4, $5, $6)
            on conflict (swarm_id, agent) do update set role = excluded.role, issued_at = excluded.issued_at, expires_at = excluded.expires_at,
                                                        fingerprint = excluded.fingerprint, last_seen = null
            """,
            connection);
        command.Parameters.Add(new() { Value = swarm.ToArray() });
        command.Parameters.Add(new() { Value = member.Agent.ToArray() });
        command.Parameters.Add(new() { Value = role.WrittenSpan.ToArray() });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(member.IssuedAt) });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(member.ExpiresAt) });
        command.Parameters.Add(new() { Value = (object?)member.Fingerprint?.ToArray() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static CapabilityMember ReadMember(NpgsqlDataReader row)
    {
        return new(
            Bytes32.Read(row.GetFieldValue<byte[]>(0)), GrantTable.ReadRole(row.GetFieldValue<byte[]>(1)), (ulong)row.GetInt64(2), (ulong)row.GetInt64(3),
            row.IsDBNull(4) ? null : Bytes32.Read(row.GetFieldValue<byte[]>(4)), row.IsDBNull(5) ? null : (ulong)row.GetInt64(5));
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        await command.ExecuteNonQueryAsync(cancellation);
    }
}
