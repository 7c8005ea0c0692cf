using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Portability;

/// <summary>Gathers what an agent may take to another installation (ASP §13). Looking changes nothing.</summary>
public sealed class StateExport(NpgsqlDataSource database, SwarmDirectory swarms, Rosters rosters, Mutes mutes, Mailbox mailbox, Outbox outbox, TimeProvider time)
{
    /// <param name="withOutbox">False leaves the outbox empty: a reference installation fails on a filled one, after it has erased its state.</param>
    public async Task<AgentState> RunAsync(AgentProfile agent, bool withOutbox, CancellationToken cancellation)
    {
        var muted = await mutes.ListAsync(agent.Id, cancellation);
        var inbox = await mailbox.ListAsync(
            agent.Id, new([MailStatus.Unread, MailStatus.Read, MailStatus.Archived]) { Limit = AgentState.ExportedMax }, cancellation);
        var sent = withOutbox ? await outbox.ListSentAsync(agent.Id, null, null, AgentState.ExportedMax, cancellation) : new([], null);
        return new()
        {
            SchemaVersion = AgentState.CurrentVersion,
            AgentId = agent.Name,
            ExportedAt = time.GetUtcNow(),
            Swarms = await SwarmsAsync(agent, cancellation),
            MutedSwarms = [.. muted.Where(m => m.Target.Swarm is not null).Select(m => m.Target.Swarm!.Value)],
            MutedAgents = [.. muted.Where(m => m.Target.Name is not null).Select(m => m.Target.Name!)],
            PublicKeys = await KeysAsync(agent.Id, cancellation),
            Inbox =
            [
                .. inbox.Items.OrderByDescending(m => m.ReceivedAt).Select(m => new StateReceived(
                    m.MessageId, m.SwarmId, m.Sender, m.Recipient, m.Kind, m.Text, m.ReceivedAt, m.Status, m.ReadAt, null)),
            ],
            Outbox =
            [
                .. sent.Items.OrderByDescending(m => m.AcceptedAt).Select(m => new StateSent(
                    m.Message.MessageId, m.Message.SwarmId, m.Message.Recipient, m.Message.Kind, m.Message.Content, m.AcceptedAt, m.Status, m.Error)),
            ],
        };
    }

    private async Task<List<StateSwarm>> SwarmsAsync(AgentProfile agent, CancellationToken cancellation)
    {
        var all = new List<StateSwarm>();
        for (var after = 0L; ;)
        {
            var page = await swarms.ListAsync(agent.Id, after, Inbox.PageItemsMax, cancellation);
            foreach (var swarm in page)
            {
                if (await rosters.GetFreshAsync(swarm.Id, cancellation) is { } roster && roster.Find(agent.Id) is { } self)
                {
                    all.Add(new(
                        roster.Id, roster.Name, roster.Master?.Name ?? "",
                        [.. roster.Members.Select(m => new StateMember(m.Name, m.Endpoint, m.Key.Export(KeyBlobFormat.RawPublicKey), m.JoinedAt))],
                        JoinedAt(roster, self), new(roster.AllowMemberInvite, roster.RequireApproval)));
                }
            }

            if (page.Count < Inbox.PageItemsMax)
            {
                return all;
            }

            after = page[^1].SwarmNo;
        }
    }

    /// <summary>When the agent's installation came into the swarm: where no other agent of this node was in it before, that is when it appeared here.</summary>
    private static DateTimeOffset JoinedAt(Roster roster, Member self) =>
        roster.Members.All(m => m.Kind == AgentKind.Remote || m == self) ? roster.CreatedAt : self.JoinedAt;

    private async Task<List<StateKey>> KeysAsync(AgentId agent, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select name, public_key, fetched_at, endpoint from known_keys where agent_no = $1 order by name");
        command.Parameters.Add(new() { Value = agent.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var keys = new List<StateKey>();
        while (await reader.ReadAsync(cancellation))
        {
            keys.Add(new(
                reader.GetString(0), reader.GetFieldValue<byte[]>(1), reader.GetFieldValue<DateTimeOffset>(2), reader.IsDBNull(3) ? null : reader.GetString(3)));
        }

        return keys;
    }
}
