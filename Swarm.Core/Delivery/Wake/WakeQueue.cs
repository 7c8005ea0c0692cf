using Npgsql;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Delivery.Wake;

/// <summary>A message that an agent is woken for; what it says stays on the node.</summary>
public sealed record WakeMessage(
    long Seq, MessageId MessageId, Guid Swarm, string Sender, MessageKind Kind, Priority Priority, WakeLevel Level);

/// <summary>One wake that is to be carried out, held by this Worker until its lease ends.</summary>
/// <param name="Messages">What waits, oldest first; at most <see cref="WakeQueue.LookMax"/>.</param>
/// <param name="Level">The loudest of them.</param>
public sealed record WakeOrder(
    AgentId Agent, string Name, WakeAction Action, string Url, string? Secret, int Attempts, Guid Lease, long LookedSeq,
    IReadOnlyList<WakeMessage> Messages, WakeLevel Level);

/// <summary>
/// Which agents are to be woken now, from a durable position in each one's inbox. Several Workers share the work by leases on rows; a Worker
/// that dies leaves its lease to run out, and the wake is carried out again.
/// </summary>
public sealed class WakeQueue(NpgsqlDataSource database, WakeSettings settings, Rosters rosters, TimeProvider time)
{
    /// <summary>How many messages of one agent a look takes in.</summary>
    public const int LookMax = 100;

    /// <summary>Tries of one wake; then it is given up, and the next message makes a new one.</summary>
    public const int AttemptsMax = 6;

    /// <summary>How long a Worker holds a row: longer than a call can take.</summary>
    public static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(90);

    /// <summary>The pause before the second try; it doubles with each further one.</summary>
    public static readonly TimeSpan BackoffFirst = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Leases up to <paramref name="max"/> agents with something new and looks at it. What wakes nobody is done with; what waits for its
    /// window goes back; the rest is returned, to be settled each.
    /// </summary>
    /// <returns>The orders, and how many agents were looked at.</returns>
    public async Task<(IReadOnlyList<WakeOrder> Orders, int Looked)> TakeAsync(int max, CancellationToken cancellation)
    {
        var lease = Guid.CreateVersion7();
        var now = time.GetUtcNow();
        var taken = await LeaseAsync(lease, max, now, cancellation);
        var orders = new List<WakeOrder>();
        foreach (var row in taken)
        {
            if (await LookAsync(row, lease, now, cancellation) is { } order)
            {
                orders.Add(order);
            }
        }

        return (orders, taken.Count);
    }

    /// <summary>When something is to be looked at again; null when only a new message makes work.</summary>
    public async Task<DateTimeOffset?> NextDueAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select min(greatest(w.due_at, w.leased_until)) from wakes w join mailboxes b on b.recipient_no = w.agent_no
            where w.action <> 0 and b.last_seq > w.looked_seq
            """);
        return await command.ExecuteScalarAsync(cancellation) is DateTime due ? new DateTimeOffset(due, TimeSpan.Zero) : null;
    }

    /// <summary>Whom to listen for.</summary>
    public async Task<IReadOnlySet<AgentId>> AgentsAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select agent_no from wakes where action <> 0");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var agents = new HashSet<AgentId>();
        while (await reader.ReadAsync(cancellation))
        {
            agents.Add(new(reader.GetInt64(0)));
        }

        return agents;
    }

    /// <summary>It was carried out, or refused for good: what it was for is done with.</summary>
    public Task DoneAsync(WakeOrder order, string result, CancellationToken cancellation) =>
        SettleAsync(order.Agent, order.Lease, order.LookedSeq, null, 0, result, cancellation);

    /// <summary>It failed: again after a pause, or, after <see cref="AttemptsMax"/> tries, not at all.</summary>
    /// <returns>True when it was given up.</returns>
    public async Task<bool> FailedAsync(WakeOrder order, string result, double jitter, CancellationToken cancellation)
    {
        var attempts = order.Attempts + 1;
        if (attempts >= AttemptsMax)
        {
            await SettleAsync(order.Agent, order.Lease, order.LookedSeq, null, 0, $"given up: {result}", cancellation);
            return true;
        }

        var pause = BackoffFirst * Math.Pow(2, attempts - 1) * (0.5 + jitter / 2);
        await SettleAsync(order.Agent, order.Lease, null, time.GetUtcNow() + pause, attempts, result, cancellation);
        return false;
    }

    private async Task<List<Row>> LeaseAsync(Guid lease, int max, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            update wakes w set lease_id = $1, leased_until = $2
            from (select w.agent_no, a.name, b.last_seq from wakes w
                  join mailboxes b on b.recipient_no = w.agent_no join agents a on a.agent_no = w.agent_no
                  where w.action <> 0 and b.last_seq > w.looked_seq and a.revoked_at is null
                    and (w.due_at is null or w.due_at <= $3 or b.last_seq > w.seen_seq) and (w.leased_until is null or w.leased_until <= $3)
                  order by w.agent_no limit $4 for update of w skip locked) t
            where w.agent_no = t.agent_no
            returning w.agent_no, t.name, w.preferences, w.action, w.url, w.sealed_secret, w.attempts, w.looked_seq, t.last_seq
            """);
        command.Parameters.Add(new() { Value = lease });
        command.Parameters.Add(new() { Value = (now + LeaseTime).UtcDateTime });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = max });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var rows = new List<Row>();
        while (await reader.ReadAsync(cancellation))
        {
            rows.Add(new(
                new(reader.GetInt64(0)), reader.GetString(1), WakeSettings.Read(reader.GetString(2)), (WakeAction)reader.GetInt16(3), reader.GetString(4),
                reader.IsDBNull(5) ? null : reader.GetFieldValue<byte[]>(5), reader.GetInt16(6), reader.GetInt64(7), reader.GetInt64(8)));
        }

        return rows;
    }

    private async Task<WakeOrder?> LookAsync(Row row, Guid lease, DateTimeOffset now, CancellationToken cancellation)
    {
        var (messages, looked, oldest, isFull) = await ReadAsync(row, now, cancellation);
        if (messages.Count == 0)
        {
            await SettleAsync(row.Agent, lease, looked, null, 0, null, cancellation);
            return null;
        }

        var level = messages.Max(m => m.Level);
        var window = oldest + TimeSpan.FromSeconds(row.Preferences.CoalesceSeconds);
        if (level < WakeLevel.Urgent && window > now && row.Attempts == 0 && !isFull)
        {
            // Something newer is looked at before: it may be urgent.
            await SettleAsync(row.Agent, lease, null, window, 0, null, cancellation, seen: looked);
            return null;
        }

        return new(row.Agent, row.Name, row.Action, row.Url, settings.Open(row.Agent, row.SealedSecret), row.Attempts, lease, looked, messages, level);
    }

    /// <summary>What is loud among the next messages; read, deleted, ended and muted ones are quiet, and those of senders that may not wake here.</summary>
    private async Task<(List<WakeMessage> Messages, long Looked, DateTimeOffset Oldest, bool IsFull)> ReadAsync(Row row, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select d.seq, d.state, m.accepted_at, m.wire,
                   exists (select 1 from mutes u join swarms s on s.swarm_id = u.swarm_id where u.agent_no = $1 and s.swarm_no = d.swarm_no),
                   array(select u.name from mutes u where u.agent_no = $1 and u.name is not null)
            from deliveries d join messages m on m.message_no = d.message_no
            where d.recipient_no = $1 and d.seq > $2
            order by d.seq limit $3
            """);
        command.Parameters.Add(new() { Value = row.Agent.Value });
        command.Parameters.Add(new() { Value = row.LookedSeq });
        command.Parameters.Add(new() { Value = LookMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var messages = new List<WakeMessage>();
        var (looked, oldest, bytes, rows) = (row.LookedSeq, DateTimeOffset.MaxValue, 0, 0);
        while (bytes < Inbox.PageBytesMax && await reader.ReadAsync(cancellation))
        {
            rows++;
            looked = reader.GetInt64(0);
            if ((DeliveryState)reader.GetInt16(1) is not (DeliveryState.Pending or DeliveryState.Leased) || reader.GetBoolean(4))
            {
                continue;
            }

            var wire = reader.GetFieldValue<byte[]>(3);
            bytes += wire.Length;
            var message = MessageParser.Parse(wire);
            if (message.IsRecord || reader.GetFieldValue<string[]>(5).Contains(message.SenderId, StringComparer.Ordinal)
                || !await MayWakeAsync(message, now, cancellation))
            {
                continue;
            }

            var input = new WakeInput(
                message.SenderId, message.SwarmId.Value, row.Preferences.WatchedKeywords.Count == 0 ? "" : Toon.OfMessage(wire), message.Kind,
                message.Priority, message.Recipient != AgentName.Broadcast, now.UtcDateTime.Hour);
            if (WakeRules.Evaluate(row.Preferences, input) is var level and > WakeLevel.Silent)
            {
                var acceptedAt = reader.GetFieldValue<DateTimeOffset>(2);
                oldest = acceptedAt < oldest ? acceptedAt : oldest;
                messages.Add(new(looked, message.MessageId, message.SwarmId.Value, message.SenderId, message.Kind, message.Priority, level));
            }
        }

        // Numbers without a row are those of deliveries that retention took.
        var isFull = rows == LookMax || bytes >= Inbox.PageBytesMax;
        return (messages, isFull ? looked : Math.Max(looked, row.LastSeq), oldest, isFull);
    }

    /// <summary>What a swarm demands for waking; where it demands something, who has left it may nothing.</summary>
    private async ValueTask<bool> MayWakeAsync(AspMessage message, DateTimeOffset now, CancellationToken cancellation) =>
        await rosters.GetAsync(message.SwarmId, cancellation) is not { } roster || !roster.Demands.HasFlag(SwarmActions.Wake)
        || (roster.Find(message.SenderId) is { } sender && roster.May(sender, SwarmActions.Wake, now));

    /// <summary>Gives the row back; a lease that ran out changes nothing.</summary>
    private async Task SettleAsync(
        AgentId agent, Guid lease, long? looked, DateTimeOffset? due, int attempts, string? result, CancellationToken cancellation,
        long seen = long.MaxValue)
    {
        await using var command = database.CreateCommand(
            """
            update wakes set looked_seq = coalesce($3, looked_seq), due_at = $4, attempts = $5, seen_seq = $8, lease_id = null, leased_until = null,
                             last_at = case when $6::text is null then last_at else $7 end, last_result = coalesce($6, last_result)
            where agent_no = $1 and lease_id = $2
            """);
        command.Parameters.Add(new() { Value = agent.Value });
        command.Parameters.Add(new() { Value = lease });
        command.Parameters.Add(new() { Value = looked ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bigint });
        command.Parameters.Add(new() { Value = due?.UtcDateTime ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.TimestampTz });
        command.Parameters.Add(new() { Value = (short)attempts });
        command.Parameters.Add(new() { Value = result ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = seen });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private sealed record Row(
        AgentId Agent, string Name, WakePreferences Preferences, WakeAction Action, string Url, byte[]? SealedSecret, int Attempts, long LookedSeq, long LastSeq);
}
