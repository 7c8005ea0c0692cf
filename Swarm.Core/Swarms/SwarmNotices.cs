using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
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
/// System messages by which the other nodes of a swarm learn of its changes (ASP §10). They are stored in the transaction of the change, so
/// there is never one without the other, and are pushed like every message until each node has them.
/// Local members need none: the roster that they share is already changed.
/// </summary>
public sealed class SwarmNotices(HostedKeys keys, TimeProvider time)
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

    /// <summary>
    /// Notes in the master's own inbox that somebody from elsewhere has joined (ASP §10.2): JSON text, with spaces, as the reference stores it. The
    /// node made it, so nobody signed it, and nobody is woken by it.
    /// </summary>
    internal async Task RecordJoinAsync(DecisionScope scope, Roster roster, Member master, Member joined, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var message = new AspMessage
        {
            MessageId = new(Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(now),
            SenderId = joined.Name,
            SenderEndpoint = joined.Endpoint,
            Recipient = "",
            SwarmId = roster.Id,
            Kind = MessageKind.System,
            Content =
                $$"""{"type": "system", "action": "member_joined", "swarm_id": "{{roster.Id}}", "agent_id": {{Text(joined.Name)}}, "initiated_by": null, "reason": null, "endpoint": {{Text(joined.Endpoint)}}, "joined_at": "{{AspTimestamp.Format(joined.JoinedAt)}}"}""",
        };
        var wire = MessageWriter.Write(message);
        await using var command = new NpgsqlCommand("select accept_record($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", scope.Connection);
        foreach (var value in new object[]
            {
                joined.Agent.Value, message.MessageId.Value, SHA256.HashData(wire), roster.SwarmNo, (short)Protocol.AgentSwarm,
                (short)MessageKind.System, (short)Priority.Normal, wire, master.Agent.Value, now.UtcDateTime,
            })
        {
            command.Parameters.Add(new() { Value = value });
        }

        await command.ExecuteNonQueryAsync(cancellation);
        scope.Tell([master.Agent]);
    }

    /// <summary>Tells the remote members but the joined one.</summary>
    internal Task JoinedAsync(DecisionScope scope, Key key, Roster roster, Member master, Member joined, CancellationToken cancellation) => SendAsync(
        scope, key, roster, master, AgentName.Broadcast, Remotes(roster, master, joined),
        $$"""{"type": "system", "action": "member_joined", "swarm_id": "{{roster.Id}}", "agent_id": {{Text(joined.Name)}}, "endpoint": {{Text(joined.Endpoint)}}, "joined_at": "{{AspTimestamp.Format(joined.JoinedAt)}}"}""",
        time.GetUtcNow(), cancellation);

    /// <summary>Tells the remote members, of whom the leaving one is none any more.</summary>
    internal Task LeftAsync(DecisionScope scope, Key key, Roster roster, Member leaver, CancellationToken cancellation) =>
        SendAsync(
            scope, key, roster, leaver, AgentName.Broadcast, Remotes(roster, leaver, null),
            $$"""{"action":"member_left","agent_id":{{Text(leaver.Name)}}}""", time.GetUtcNow(), cancellation);

    /// <summary>Tells the kicked member, then the others; both messages have one time.</summary>
    internal async Task KickedAsync(
        DecisionScope scope, Key key, Roster roster, Member by, Member target, string? reason, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var tail = $"\"agent_id\":{Text(target.Name)}{(reason is null ? "" : $",\"reason\":{Text(reason)}")}}}";
        AgentId[] kicked = target.Kind == AgentKind.Remote ? [target.Agent] : [];
        await SendAsync(scope, key, roster, by, target.Name, kicked, $"{{\"action\":\"kicked\",{tail}", now, cancellation);
        await SendAsync(
            scope, key, roster, by, AgentName.Broadcast, Remotes(roster, by, target), $"{{\"action\":\"member_kicked\",{tail}", now, cancellation);
    }

    /// <summary>Tells the remote members, the new master among them (ASP §10.6). The message is kept with the change, also where nobody is to be told.</summary>
    internal async Task<byte[]> MasterChangedAsync(
        DecisionScope scope, Key key, Roster roster, Member old, Member successor, DateTimeOffset now, CancellationToken cancellation)
    {
        var message = Sign(
            key, roster, old, AgentName.Broadcast,
            $$"""{"action":"master_changed","old_master":{{Text(old.Name)}},"new_master":{{Text(successor.Name)}}}""", now);
        await SendAsync(scope, roster, old, Remotes(roster, old, null), message, now, cancellation);
        return MessageWriter.Write(message);
    }

    /// <summary>Tells the remote members that there is no swarm any more.</summary>
    internal Task DissolvedAsync(DecisionScope scope, Key key, Roster roster, Member master, string reason, CancellationToken cancellation) => SendAsync(
        scope, key, roster, master, AgentName.Broadcast, Remotes(roster, master, null),
        $$"""{"action":"swarm_dissolved","reason":{{Text(reason)}}}""", time.GetUtcNow(), cancellation);

    /// <summary>Tells the remote members of a new key, signed with the old one.</summary>
    internal Task KeyRotatedAsync(DecisionScope scope, Key old, Roster roster, Member member, PublicKey key, CancellationToken cancellation) => SendAsync(
        scope, old, roster, member, AgentName.Broadcast, Remotes(roster, member, null),
        $$"""{"action":"key_rotated","agent_id":{{Text(member.Name)}},"public_key":"{{PublicKeyText.Format(key)}}"}""", time.GetUtcNow(), cancellation);

    /// <summary>Tells the remote members where the member is reached from now on.</summary>
    internal Task MovedAsync(DecisionScope scope, Key key, Roster roster, Member member, string endpoint, CancellationToken cancellation) => SendAsync(
        scope, key, roster, member with { Endpoint = endpoint }, AgentName.Broadcast, Remotes(roster, member, null),
        $$"""{"action":"endpoint_changed","agent_id":{{Text(member.Name)}},"endpoint":{{Text(endpoint)}}}""", time.GetUtcNow(), cancellation);

    /// <summary>The offer that its receiver's answer accepts or not (ASP §10.6); it is posted directly, because the answer counts.</summary>
    public AspMessage Offer(Key key, Roster roster, Member master, Member successor)
    {
        // A successor of our kind goes on with the settings of the swarm; the reference knows none.
        var settings = roster is { AllowMemberInvite: false, RequireApproval: false }
            ? ""
            : $",\"settings\":{{\"allow_member_invite\":{Word(roster.AllowMemberInvite)},\"require_approval\":{Word(roster.RequireApproval)}}}";
        return Sign(
            key, roster, master, successor.Name,
            $"{{\"action\":\"master_transfer\",\"swarm_id\":\"{roster.Id}\",\"new_master\":{Text(successor.Name)}{settings}}}", time.GetUtcNow());
    }

    /// <summary>Puts the offer into the inbox of an agent of this node, which has not agreed to it yet.</summary>
    internal Task LeaveOfferAsync(DecisionScope scope, Key key, Roster roster, Member master, Member successor, CancellationToken cancellation) =>
        SendAsync(scope, roster, master, [successor.Agent], Offer(key, roster, master, successor), time.GetUtcNow(), cancellation);

    private static string Word(bool value) => value ? "true" : "false";

    private static AgentId[] Remotes(Roster roster, Member sender, Member? gone) =>
        [.. roster.Members.Where(m => m.Kind == AgentKind.Remote && m.Agent != sender.Agent && m.Agent != gone?.Agent).Select(m => m.Agent)];

    private static string Text(string text) => JsonSerializer.Serialize(text, Relaxed);

    private static AspMessage Sign(Key key, Roster roster, Member sender, string to, string content, DateTimeOffset now) => MessageSignature.Sign(key, new()
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

    private static Task SendAsync(
        DecisionScope scope, Key key, Roster roster, Member sender, string to, AgentId[] recipients, string content, DateTimeOffset now,
        CancellationToken cancellation) => recipients.Length == 0
        ? Task.CompletedTask
        : SendAsync(scope, roster, sender, recipients, Sign(key, roster, sender, to, content, now), now, cancellation);

    private static async Task SendAsync(
        DecisionScope scope, Roster roster, Member sender, AgentId[] recipients, AspMessage message, DateTimeOffset now, CancellationToken cancellation)
    {
        if (recipients.Length == 0)
        {
            return;
        }

        await using var command = new NpgsqlCommand(
            "select accept_notice($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)", scope.Connection);
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
        scope.Tell(recipients.Length > GroupCommit.ExpandAbove ? [LocalSignals.Expansions] : recipients);
    }
}
