using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;

namespace Swarm.Core.Swarms;

/// <summary>
/// System messages by which the other nodes of a swarm learn that a member left or was kicked (ASP §10.3, §10.4). They are stored in the
/// transaction of the change, so there is never one without the other, and are pushed like every message until each node has them.
/// Local members need none: the roster that they share is already changed.
/// </summary>
public sealed class SwarmNotices(HostedKeys keys, ISignalBus signals, TimeProvider time)
{
    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The key to sign notices with; null for an agent that signs for itself, and so must tell the others itself.</summary>
    public async ValueTask<Key?> OpenAsync(AgentProfile agent, CancellationToken cancellation)
    {
        try
        {
            return await keys.OpenAsync(agent, cancellation);
        }
        catch (SwarmException e) when (e.Error == SwarmError.KeyNotHeld)
        {
            return null;
        }
    }

    /// <summary>Tells the remote members, of whom the leaving one is none any more.</summary>
    /// <returns>Whom to signal after the commit.</returns>
    internal Task<AgentId[]> LeftAsync(DecisionScope scope, Key key, Roster roster, Member leaver, CancellationToken cancellation) =>
        SendAsync(
            scope, key, roster, leaver, AgentName.Broadcast, Remotes(roster, leaver, null),
            $$"""{"action":"member_left","agent_id":{{Text(leaver.Name)}}}""", time.GetUtcNow(), cancellation);

    /// <summary>Tells the kicked member, then the others; both messages have one time.</summary>
    internal async Task<AgentId[]> KickedAsync(
        DecisionScope scope, Key key, Roster roster, Member by, Member target, string? reason, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var tail = $"\"agent_id\":{Text(target.Name)}{(reason is null ? "" : $",\"reason\":{Text(reason)}")}}}";
        AgentId[] kicked = target.Kind == AgentKind.Remote ? [target.Agent] : [];
        return
        [
            .. await SendAsync(scope, key, roster, by, target.Name, kicked, $"{{\"action\":\"kicked\",{tail}", now, cancellation),
            .. await SendAsync(
                scope, key, roster, by, AgentName.Broadcast, Remotes(roster, by, target), $"{{\"action\":\"member_kicked\",{tail}", now, cancellation),
        ];
    }

    /// <summary>After the commit.</summary>
    internal void Signal(AgentId[] recipients) => signals.Publish(recipients);

    private static AgentId[] Remotes(Roster roster, Member sender, Member? gone) =>
        [.. roster.Members.Where(m => m.Kind == AgentKind.Remote && m != sender && m != gone).Select(m => m.Agent)];

    private static string Text(string text) => JsonSerializer.Serialize(text, Relaxed);

    private static async Task<AgentId[]> SendAsync(
        DecisionScope scope, Key key, Roster roster, Member sender, string to, AgentId[] recipients, string content, DateTimeOffset now,
        CancellationToken cancellation)
    {
        if (recipients.Length == 0)
        {
            return recipients;
        }

        var message = MessageSignature.Sign(key, new()
        {
            MessageId = new(Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(now),
            SenderId = sender.Name,
            SenderEndpoint = sender.Endpoint,
            Recipient = to,
            SwarmId = roster.Id,
            Kind = MessageKind.System,
            Content = content,
        });
        await using var command = new NpgsqlCommand(
            "select accept_notice($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)", (NpgsqlConnection)scope.Db.Database.GetDbConnection());
        foreach (var value in new object[]
            {
                sender.Agent.Value, message.MessageId.Value, Intake.Fingerprint(SignedDigest.Compute(message), sender.RawKey), roster.SwarmNo,
                (short)Protocol.AgentSwarm, (short)MessageKind.System, (short)Priority.Normal, now.UtcDateTime,
            })
        {
            command.Parameters.Add(new() { Value = value });
        }

        command.Parameters.Add(new() { Value = System.Diagnostics.Activity.Current?.Id ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = MessageWriter.Write(message) });
        command.Parameters.Add(new() { Value = Array.ConvertAll(recipients, r => r.Value) });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = GroupCommit.ExpandAbove });
        await command.ExecuteNonQueryAsync(cancellation);
        return recipients.Length > GroupCommit.ExpandAbove ? [LocalSignals.Expansions] : recipients;
    }
}
