using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;
using Swarm.Core.Swarms;

namespace Swarm.Core.Portability;

/// <summary>What an import brought.</summary>
/// <param name="Skipped">Swarms of the file that are no swarms any more: the agent, or the master, is not among the members.</param>
public sealed record ImportSummary(
    string SchemaVersion, int Swarms, int PublicKeys, int MutedAgents, int MutedSwarms, int Inbox, int Outbox, IReadOnlyList<SwarmId> Skipped);

/// <summary>
/// Takes over what an agent had in another installation (ASP §13), in one transaction: all of it or nothing. A roster of a file is somebody's
/// word, so only an operator may call this; other agents of this node lose nothing by it.
/// </summary>
public sealed class StateImport(Decisions decisions, Rosters rosters, ISignalBus signals, TimeProvider time)
{
    /// <summary>Where nobody knows the sender's endpoint.</summary>
    private const string NoEndpoint = "https://unknown.invalid/";

    /// <param name="merge">False: first the agent leaves every swarm, and its mutes, keys and messages go.</param>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.InvalidKey"/>: the file's key of the agent is not the one that it has here; <see cref="SwarmError.SwarmExists"/>: other agents
    /// of this node know one of the swarms with another master; <see cref="SwarmError.MasterMayNotLeave"/>: replacing would take the master from
    /// other agents of this node; <see cref="SwarmError.LimitReached"/>.
    /// </exception>
    public async Task<ImportSummary> RunAsync(AgentProfile agent, AgentState state, bool merge, CancellationToken cancellation)
    {
        var sound = state.Swarms.Where(s => s.Members.Any(m => m.Name == agent.Name) && s.Members.Any(m => m.Name == s.Master)).ToList();
        var own = agent.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        if (sound.Find(s => !s.Members.First(m => m.Name == agent.Name).PublicKey.AsSpan().SequenceEqual(own)) is { } other)
        {
            throw new SwarmException(
                SwarmError.InvalidKey, $"In swarm {other.Id} '{agent.Name}' has another key than here. Create the agent with its own key first (swarm agent import).");
        }

        var summary = new ImportSummary(
            state.SchemaVersion, sound.Count, state.PublicKeys.Count, state.MutedAgents.Count, state.MutedSwarms.Count, state.Inbox.Count, state.Outbox.Count,
            [.. state.Swarms.Except(sound).Select(s => s.Id)]);
        await decisions.RunAsync(
            $"state imported for {agent.Name} ({(merge ? "merged" : "replaced")}): {sound.Count} swarms, {state.Inbox.Count} received and {state.Outbox.Count} sent messages",
            async scope =>
            {
                await new Run(scope, rosters, agent, own, time.GetUtcNow(), cancellation).AllAsync(state, sound, merge);
                return true;
            },
            cancellation);
        foreach (var swarm in sound)
        {
            rosters.Forget(swarm.Id);
        }

        signals.Publish([agent.Id]);
        return summary;
    }

    private sealed class Run(
        DecisionScope scope, Rosters rosters, AgentProfile agent, byte[] own, DateTimeOffset now, CancellationToken cancellation)
    {
        private readonly Dictionary<SwarmId, Roster?> _rosters = [];

        public async Task AllAsync(AgentState state, List<StateSwarm> swarms, bool merge)
        {
            // The agent's row first, so that nothing joins or mutes meanwhile; then the swarms in the order of their numbers, like everywhere.
            await ExecuteAsync("select 1 from agents where agent_no = $1 for update", agent.Id.Value);
            var ids = swarms.Select(s => s.Id.Value).ToList();
            var touched = await scope.Db.Swarms.AsNoTracking()
                .Where(s => ids.Contains(s.SwarmId) || scope.Db.Members.Any(m => m.SwarmNo == s.SwarmNo && m.AgentNo == agent.Id.Value))
                .OrderBy(s => s.SwarmNo).Select(s => new { s.SwarmNo, s.SwarmId }).ToListAsync(cancellation);
            foreach (var swarm in touched)
            {
                await scope.LockSwarmAsync(swarm.SwarmNo, cancellation);
            }

            if (!merge)
            {
                foreach (var gone in touched.Where(t => !ids.Contains(t.SwarmId)))
                {
                    await LeaveAsync(new(gone.SwarmId));
                }

                await EmptyAsync();
            }

            foreach (var swarm in swarms)
            {
                await PutSwarmAsync(swarm);
            }

            await PutMutesAsync(state);
            foreach (var key in state.PublicKeys)
            {
                await ExecuteAsync(
                    """
                    insert into known_keys (agent_no, name, public_key, fetched_at, endpoint) values ($1, $2, $3, $4, $5)
                    on conflict (agent_no, name) do update set public_key = excluded.public_key, fetched_at = excluded.fetched_at, endpoint = excluded.endpoint
                    """,
                    agent.Id.Value, key.Name, key.PublicKey, key.FetchedAt.UtcDateTime, Text(key.Endpoint));
            }

            foreach (var message in state.Outbox.Reverse().OrderBy(m => m.SentAt))
            {
                await PutSentAsync(message);
            }

            var endpoints = state.PublicKeys.Where(k => k.Endpoint is not null).ToDictionary(k => k.Name, k => k.Endpoint!);
            foreach (var message in state.Inbox.Reverse().OrderBy(m => m.ReceivedAt))
            {
                await PutReceivedAsync(message, endpoints);
            }
        }

        /// <summary>The agent is in it no more. A swarm in which no agent of this node is left goes with it.</summary>
        private async Task LeaveAsync(SwarmId id)
        {
            var roster = (await rosters.ReadAsync(scope.Db, id, cancellation))!;
            if (!HasOtherLocals(roster))
            {
                await scope.Db.Swarms.Where(s => s.SwarmNo == roster.SwarmNo).ExecuteDeleteAsync(cancellation);
                return;
            }

            if (roster.MasterId == agent.Id)
            {
                throw new SwarmException(
                    SwarmError.MasterMayNotLeave,
                    $"'{agent.Name}' is the master of swarm {id}, in which other agents of this node are, and which the state does not hold. Merge instead.");
            }

            await scope.Db.Members.Where(m => m.SwarmNo == roster.SwarmNo && m.AgentNo == agent.Id.Value).ExecuteDeleteAsync(cancellation);
        }

        /// <summary>Mutes and keys go. Messages leave every list and queue; their ids stay known, so that a repeat stays a repeat.</summary>
        private async Task EmptyAsync()
        {
            var no = agent.Id.Value;
            await ExecuteAsync("delete from mutes where agent_no = $1", no);
            await ExecuteAsync("delete from known_keys where agent_no = $1", no);
            await ExecuteAsync("delete from imported_messages where agent_no = $1", no);
            await ExecuteAsync(
                """
                update deliveries set deleted_at = '-infinity', state = case when state < 3 then 3 else state end, lease_id = null
                where recipient_no = $1 and deleted_at is distinct from '-infinity'
                """,
                no);
            await ExecuteAsync("delete from dead_letters where recipient_no = $1", no);
            await ExecuteAsync("update messages set outgoing = false where sender_no = $1 and outgoing", no);
        }

        private async Task PutSwarmAsync(StateSwarm swarm)
        {
            if (await scope.Db.Swarms.AnyAsync(s => s.SwarmId == swarm.Id.Value && s.DissolvedAt != null, cancellation))
            {
                throw new SwarmException(SwarmError.SwarmExists, $"Swarm {swarm.Id} was dissolved; it does not come back. Take it out of the file.");
            }

            var roster = await rosters.ReadAsync(scope.Db, swarm.Id, cancellation);
            var masterOfFile = swarm.Members.First(m => m.Name == swarm.Master);
            var shared = roster is not null && HasOtherLocals(roster);
            if (shared && roster!.Master?.RawKey.AsSpan().SequenceEqual(masterOfFile.PublicKey) != true)
            {
                throw new SwarmException(SwarmError.SwarmExists, $"Other agents of this node know swarm {swarm.Id} with another master.");
            }

            var master = await AgentOfAsync(masterOfFile);
            long swarmNo;
            if (roster is null)
            {
                var row = new SwarmRow
                {
                    SwarmId = swarm.Id.Value,
                    Name = swarm.Name,
                    MasterNo = master,
                    AllowMemberInvite = swarm.Settings.AllowMemberInvite,
                    RequireApproval = swarm.Settings.RequireApproval,
                    CreatedAt = swarm.JoinedAt,
                };
                scope.Db.Swarms.Add(row);
                await scope.Db.SaveChangesAsync(cancellation);
                swarmNo = row.SwarmNo;
                await scope.LockSwarmAsync(swarmNo, cancellation);
            }
            else
            {
                swarmNo = roster.SwarmNo;
                if (!shared)
                {
                    // Only this agent's own: the file's word counts, for the members too.
                    await scope.Db.Members.Where(m => m.SwarmNo == swarmNo).ExecuteDeleteAsync(cancellation);
                    await scope.Db.Swarms.Where(s => s.SwarmNo == swarmNo).ExecuteUpdateAsync(
                        s => s.SetProperty(x => x.Name, swarm.Name).SetProperty(x => x.MasterNo, master)
                            .SetProperty(x => x.AllowMemberInvite, swarm.Settings.AllowMemberInvite)
                            .SetProperty(x => x.RequireApproval, swarm.Settings.RequireApproval).SetProperty(x => x.CreatedAt, swarm.JoinedAt),
                        cancellation);
                    roster = null;
                }
            }

            var count = roster?.Members.Count ?? 0;
            foreach (var member in swarm.Members)
            {
                var no = member == masterOfFile ? master : await AgentOfAsync(member);
                if (roster?.Find(member.Name) is { } known)
                {
                    if (known.Agent != agent.Id && member.Name == agent.Name)
                    {
                        throw new SwarmException(SwarmError.AlreadyMember, $"Another agent is '{agent.Name}' in swarm {swarm.Id}.");
                    }

                    continue;
                }

                if (roster?.Find(new AgentId(no)) is not null)
                {
                    continue; // Under another name; the pinned name stays.
                }

                if (++count > SwarmAdmission.MembersMax)
                {
                    throw new SwarmException(SwarmError.LimitReached, $"A swarm has at most {SwarmAdmission.MembersMax} members.");
                }

                scope.Db.Members.Add(new()
                {
                    SwarmNo = swarmNo,
                    AgentNo = no,
                    Name = member.Name,
                    Endpoint = no == agent.Id.Value ? agent.Endpoint : member.Endpoint,
                    PublicKey = member.PublicKey,
                    JoinedAt = member.JoinedAt,
                });
            }

            await scope.Db.SaveChangesAsync(cancellation);
        }

        private bool HasOtherLocals(Roster roster) => roster.Members.Any(m => m.Kind != AgentKind.Remote && m.Agent != agent.Id);

        /// <summary>The agent with that key: one of this node, else a remote one, known or new.</summary>
        private async Task<long> AgentOfAsync(StateMember member)
        {
            if (member.PublicKey.AsSpan().SequenceEqual(own))
            {
                return agent.Id.Value;
            }

            var known = await scope.Db.Agents.AsNoTracking().Where(a => a.PublicKey == member.PublicKey && a.RevokedAt == null)
                .OrderBy(a => a.Kind).Select(a => (long?)a.AgentNo).FirstOrDefaultAsync(cancellation);
            if (known is { } no)
            {
                return no;
            }

            var row = new AgentRow { Kind = AgentKind.Remote, Endpoint = member.Endpoint, PublicKey = member.PublicKey, CreatedAt = now };
            scope.Db.Agents.Add(row);
            await scope.Db.SaveChangesAsync(cancellation);
            await ExecuteAsync("insert into mailboxes (recipient_no) values ($1)", row.AgentNo);
            return row.AgentNo;
        }

        private async Task PutMutesAsync(AgentState state)
        {
            foreach (var target in state.MutedAgents.Where(n => n != AgentName.Broadcast).Select(MuteTarget.OfAgent)
                .Concat(state.MutedSwarms.Select(MuteTarget.OfSwarm)))
            {
                await ExecuteAsync(
                    "insert into mutes (agent_no, name, swarm_id, muted_at) values ($1, $2, $3, $4) on conflict do nothing",
                    agent.Id.Value, Text(target.Name), Typed(NpgsqlDbType.Uuid, target.Swarm?.Value), now.UtcDateTime);
            }

            if (await scope.Db.Mutes.CountAsync(m => m.AgentNo == agent.Id.Value, cancellation) > Mutes.PerAgentMax)
            {
                throw new SwarmException(SwarmError.LimitReached, $"An agent mutes at most {Mutes.PerAgentMax} agents and swarms.");
            }
        }

        private async Task PutSentAsync(StateSent sent)
        {
            var message = new AspMessage
            {
                MessageId = sent.MessageId,
                Timestamp = AspTimestamp.Format(sent.SentAt),
                SenderId = agent.Name,
                SenderEndpoint = agent.Endpoint,
                Recipient = sent.Recipient,
                SwarmId = sent.SwarmId,
                Kind = sent.Kind,
                Content = sent.Content,
            };
            var no = await PutMessageAsync(
                agent.Id, SHA256.HashData(StrictUtf8.GetBytes(sent.Content)), (await RosterAsync(sent.SwarmId))?.SwarmNo, message, false, sent.SentAt, outgoing: true);
            await NoteAsync(no, sent.SentAt, null, sent.Recipient, (short)sent.Status, sent.Error);
        }

        private async Task PutReceivedAsync(StateReceived received, Dictionary<string, string> endpoints)
        {
            var stored = StrictUtf8.GetBytes(received.Text);
            var roster = await RosterAsync(received.SwarmId);
            var original = Original(received);
            var sender = original is null ? null : roster?.Find(original.SenderId);
            var isVerified = sender is not null && AgentName.IsValid(original!.Recipient) && MessageSignature.Verify(sender.Key, original);
            var message = original ?? new()
            {
                MessageId = received.MessageId,
                Timestamp = AspTimestamp.Format(received.ReceivedAt),
                SenderId = received.Sender,
                SenderEndpoint = roster?.Find(received.Sender)?.Endpoint ?? endpoints.GetValueOrDefault(received.Sender) ?? NoEndpoint,
                Recipient = received.Recipient ?? agent.Name,
                SwarmId = received.SwarmId,
                Kind = received.Kind,
                Content = received.Text,
            };

            // What does not verify is kept under no sender, so that it cannot take the id from a message that the sender really signed.
            var no = isVerified
                ? await PutMessageAsync(
                    sender!.Agent, Intake.Fingerprint(SignedDigest.Compute(message), sender.RawKey), roster!.SwarmNo, message, true, SignedTime(message), outgoing: false)
                : await PutMessageAsync(default, SHA256.HashData(stored), roster?.SwarmNo, message, false, received.ReceivedAt, outgoing: false);
            var isRead = received.Status != MailStatus.Unread;
            await ExecuteAsync(
                "select import_delivery($1, $2, $3, $4, $5, $6)",
                no, agent.Id.Value, (short)(isRead ? 3 : 0), Time(received.ReadAt),
                Time(received.Status == MailStatus.Archived ? received.ReadAt ?? now : null),
                Time(received.Status == MailStatus.Deleted ? received.DeletedAt ?? now : null));
            await NoteAsync(no, received.ReceivedAt, stored, received.Recipient, null, null);
        }

        /// <summary>The message that was stored, from its stored text; null when the text is none, or one of another row.</summary>
        private static AspMessage? Original(StateReceived received)
        {
            AspMessage? message;
            try
            {
                message = received.Text.StartsWith('{') ? MessageParser.Parse(StrictUtf8.GetBytes(received.Text)) : ToonReader.ReadMessage(received.Text);
            }
            catch (SwarmException)
            {
                return null;
            }

            return message is not null && message.MessageId == received.MessageId && message.SwarmId == received.SwarmId
                && message.SenderId == received.Sender && message.Kind == received.Kind && Agents.IsValidEndpoint(message.SenderEndpoint)
                ? message
                : null;
        }

        private static DateTimeOffset SignedTime(AspMessage message) =>
            AspTimestamp.TryParse(message.Timestamp, out var at) ? at : throw new InvalidOperationException("A verified message has a time.");

        private async Task<Roster?> RosterAsync(SwarmId id) => _rosters.TryGetValue(id, out var known)
            ? known
            : _rosters[id] = await rosters.ReadAsync(scope.Db, id, cancellation);

        private async Task<long> PutMessageAsync(
            AgentId sender, byte[] fingerprint, long? swarmNo, AspMessage message, bool isVerified, DateTimeOffset sentAt, bool outgoing)
        {
            await using var command = Command(
                "select import_message($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                sender.Value, message.MessageId.Value, fingerprint, Typed(NpgsqlDbType.Bigint, swarmNo), (short)message.Kind, (short)message.Priority, isVerified,
                sentAt.UtcDateTime, now.UtcDateTime, MessageWriter.Write(message), outgoing);
            return (long)(await command.ExecuteScalarAsync(cancellation))!;
        }

        private Task NoteAsync(long messageNo, DateTimeOffset at, byte[]? stored, string? recipient, short? status, string? error) => ExecuteAsync(
            """
            insert into imported_messages as i (message_no, agent_no, at, stored, recipient, status, error) values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (message_no, agent_no) do update set
                at = excluded.at, stored = coalesce(excluded.stored, i.stored), recipient = excluded.recipient,
                status = coalesce(excluded.status, i.status), error = coalesce(excluded.error, i.error)
            """,
            messageNo, agent.Id.Value, at.UtcDateTime, Typed(NpgsqlDbType.Bytea, stored), Text(recipient), Typed(NpgsqlDbType.Smallint, status), Text(error));

        private async Task ExecuteAsync(string sql, params object[] values)
        {
            await using var command = Command(sql, values);
            await command.ExecuteNonQueryAsync(cancellation);
        }

        private NpgsqlCommand Command(string sql, params object[] values)
        {
            var command = new NpgsqlCommand(sql, scope.Connection);
            foreach (var value in values)
            {
                command.Parameters.Add(value as NpgsqlParameter ?? new() { Value = value });
            }

            return command;
        }

        private static NpgsqlParameter Text(string? value) => Typed(NpgsqlDbType.Text, value);

        private static NpgsqlParameter Time(DateTimeOffset? value) => Typed(NpgsqlDbType.TimestampTz, value?.UtcDateTime);

        private static NpgsqlParameter Typed(NpgsqlDbType type, object? value) => new() { NpgsqlDbType = type, Value = value ?? DBNull.Value };
    }
}
