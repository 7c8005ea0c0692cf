using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;

namespace Swarm.Core.Swarms;

/// <summary>A member that was announced, and whose key is still to be fetched.</summary>
/// <param name="Listener">The agent of this node that asks, by its name there; empty for none.</param>
/// <param name="ToldAt">When the announcement was signed.</param>
/// <param name="Attempts">How often it was tried in vain.</param>
public sealed record Introduction(long SwarmNo, SwarmId SwarmId, string Name, string Endpoint, string Listener, DateTimeOffset ToldAt, int Attempts);

/// <summary>Whether a name that is not on a roster is about to be.</summary>
internal enum Awaited
{
    No,
    Yes,

    /// <summary>Not by what the roster said: the swarm has changed since it was read.</summary>
    SwarmChanged,
}

/// <summary>
/// Members that a remote master announced (ASP §10.5). The announcement seldom carries a key, so the Worker fetches it from the endpoint,
/// after the message was answered (W-20); until then the member is not on the roster, and what it sends is put off (<see cref="SwarmError.NotReady"/>).
/// </summary>
public sealed class Introductions(Decisions decisions, Rosters rosters, NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>Who took one has this long to complete it, before another Worker may try.</summary>
    public static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(30);

    /// <summary>After the first failure; it doubles up to <see cref="BackoffMax"/>.</summary>
    public static readonly TimeSpan BackoffFirst = TimeSpan.FromSeconds(1);

    public static readonly TimeSpan BackoffMax = TimeSpan.FromHours(1);

    /// <summary>After this it is given up: what the member signed meanwhile is too old as well.</summary>
    public static readonly TimeSpan AgeMax = Intake.PastWindow;

    /// <summary>Takes some that are due; each is taken by one Worker at a time.</summary>
    public async Task<IReadOnlyList<Introduction>> TakeAsync(int max, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        await using var command = database.CreateCommand(
            """
            with due as (select swarm_no, name from introductions where due_at <= $1 order by due_at limit $2 for update skip locked)
            update introductions i set due_at = $3
            from due d join swarms s on s.swarm_no = d.swarm_no
            where i.swarm_no = d.swarm_no and i.name = d.name
            returning i.swarm_no, s.swarm_id, i.name, i.endpoint, i.listener, i.told_at, i.attempts
            """);
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = max });
        command.Parameters.Add(new() { Value = (now + LeaseTime).UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var taken = new List<Introduction>();
        while (await reader.ReadAsync(cancellation))
        {
            taken.Add(new(
                reader.GetInt64(0), new(reader.GetGuid(1)), reader.GetString(2), reader.GetString(3), reader.GetString(4),
                reader.GetFieldValue<DateTimeOffset>(5), reader.GetInt32(6)));
        }

        return taken;
    }

    /// <summary>When the next one is due; null when there is none.</summary>
    public async Task<DateTimeOffset?> NextDueAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select min(due_at) from introductions");
        return await command.ExecuteScalarAsync(cancellation) is DateTime due ? new DateTimeOffset(due, TimeSpan.Zero) : null;
    }

    /// <summary>The endpoint has shown its key: the member is on the roster, unless something newer was told of it meanwhile.</summary>
    public Task CompleteAsync(Introduction introduction, PublicKey key, CancellationToken cancellation) => decisions.RunAsync(
        $"{introduction.Name} is introduced to swarm {introduction.SwarmId}",
        async scope =>
        {
            await scope.LockSwarmAsync(introduction.SwarmNo, cancellation);
            await using var command = new NpgsqlCommand(
                "delete from introductions where swarm_no = $1 and name = $2 and told_at = $3 and endpoint = $4 returning joined_at", scope.Connection);
            command.Parameters.Add(new() { Value = introduction.SwarmNo });
            command.Parameters.Add(new() { Value = introduction.Name });
            command.Parameters.Add(new() { Value = introduction.ToldAt.UtcDateTime });
            command.Parameters.Add(new() { Value = introduction.Endpoint });
            if (await command.ExecuteScalarAsync(cancellation) is DateTime joinedAt
                && await rosters.ReadAsync(scope.Db, introduction.SwarmId, cancellation) is { } roster)
            {
                await AddAsync(
                    scope, roster, introduction.Name, introduction.Endpoint, key.Export(KeyBlobFormat.RawPublicKey), joinedAt, cancellation);
            }

            return true;
        },
        cancellation);

    /// <summary>
    /// Whether a name that is not on the roster was announced, and is only waiting for its key: reference clients never repeat what was answered 403,
    /// so its messages are not to be refused for good.
    /// </summary>
    internal async ValueTask<Awaited> IsAwaitedAsync(Roster roster, string name, CancellationToken cancellation)
    {
        // Where the master lives here, nobody is announced.
        if (roster.Master is not { Kind: AgentKind.Remote } || !AgentName.IsValidForLocal(name))
        {
            return Awaited.No;
        }

        await using var command = database.CreateCommand(
            """
            select case when exists (select 1 from introductions i where i.swarm_no = s.swarm_no and i.name = $2) then true
                        when s.version = $3 then false end
            from swarms s where s.swarm_no = $1
            """);
        command.Parameters.Add(new() { Value = roster.SwarmNo });
        command.Parameters.Add(new() { Value = name });
        command.Parameters.Add(new() { Value = roster.Version });
        return await command.ExecuteScalarAsync(cancellation) switch
        {
            true => Awaited.Yes,
            false => Awaited.No,
            _ => Awaited.SwarmChanged,
        };
    }

    /// <summary>It showed none: later again, or not at all.</summary>
    /// <returns>True when it was given up.</returns>
    public async Task<bool> FailedAsync(Introduction introduction, double jitter, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var pause = BackoffFirst * Math.Pow(2, Math.Min(introduction.Attempts, 20)) * (0.5 + (jitter / 2));
        await using var command = database.CreateCommand(
            now - introduction.ToldAt > AgeMax
                ? "delete from introductions where swarm_no = $1 and name = $2 and told_at = $3"
                : "update introductions set due_at = $4, attempts = attempts + 1 where swarm_no = $1 and name = $2 and told_at = $3");
        command.Parameters.Add(new() { Value = introduction.SwarmNo });
        command.Parameters.Add(new() { Value = introduction.Name });
        command.Parameters.Add(new() { Value = introduction.ToldAt.UtcDateTime });
        if (now - introduction.ToldAt > AgeMax)
        {
            await command.ExecuteNonQueryAsync(cancellation);
            return true;
        }

        command.Parameters.Add(new() { Value = (now + (pause < BackoffMax ? pause : BackoffMax)).UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellation);
        return false;
    }

    /// <summary>Within the decision that accepts the announcement: on the roster at once when it carried the key, which the master signed.</summary>
    internal async Task AdmitAsync(
        DecisionScope scope, Roster roster, LifecycleChange.Admit admit, DateTimeOffset sentAt, string listener, CancellationToken cancellation)
    {
        // Never overwrite (ASP §10.5).
        if (roster.Find(admit.Name) is not null)
        {
            return;
        }

        var now = time.GetUtcNow();
        var joinedAt = admit.JoinedAt is { } told && told <= now + Intake.FutureWindow && told > DateTimeOffset.UnixEpoch ? told : sentAt;
        if (admit.PublicKey is { } key)
        {
            await ForgetAsync(scope, roster.SwarmNo, admit.Name, cancellation);
            await AddAsync(scope, roster, admit.Name, admit.Endpoint, key, joinedAt, cancellation);
            return;
        }

        await using var command = new NpgsqlCommand(
            """
            insert into introductions (swarm_no, name, endpoint, listener, joined_at, told_at, due_at)
            select $1, $2, $3, $4, $5, $6, $7
            where (select count(*) from introductions where swarm_no = $1) < $8
            on conflict (swarm_no, name) do update
            set endpoint = excluded.endpoint, listener = excluded.listener, joined_at = excluded.joined_at, told_at = excluded.told_at,
                attempts = 0, due_at = excluded.due_at
            """,
            scope.Connection);
        foreach (var value in new object[]
            {
                roster.SwarmNo, admit.Name, admit.Endpoint, listener, joinedAt.UtcDateTime, sentAt.UtcDateTime, now.UtcDateTime,
                SwarmAdmission.MembersMax - roster.Members.Count,
            })
        {
            command.Parameters.Add(new() { Value = value });
        }

        await command.ExecuteNonQueryAsync(cancellation);
        scope.Tell([LocalSignals.Introductions]);
    }

    /// <summary>Within a decision: nothing is fetched any more for that name, or for anybody (null).</summary>
    internal Task ForgetAsync(DecisionScope scope, long swarmNo, string? name, CancellationToken cancellation) =>
        scope.Db.Database.ExecuteSqlAsync($"delete from introductions where swarm_no = {swarmNo} and ({name}::text is null or name = {name})", cancellation);

    private async Task AddAsync(
        DecisionScope scope, Roster roster, string name, string endpoint, byte[] key, DateTimeOffset joinedAt, CancellationToken cancellation)
    {
        if (roster.Find(name) is null && roster.Members.Count is > 0 and < SwarmAdmission.MembersMax
            && await RosterChanges.FindOrAddRemoteAsync(scope, endpoint, key, time.GetUtcNow(), cancellation) is { } no
            && roster.Find(new AgentId(no)) is null)
        {
            await RosterChanges.AddAsync(scope, roster.SwarmNo, no, name, endpoint, key, joinedAt, cancellation);
        }
    }
}
