using System.Collections.Frozen;
using Microsoft.EntityFrameworkCore;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>A row of <c>mutes</c>: <see cref="Name"/> or <see cref="SwarmId"/>, never both.</summary>
public sealed class MuteRow
{
    public long MuteNo { get; init; }

    public long AgentNo { get; init; }

    /// <summary>The muted agent's text id.</summary>
    public string? Name { get; init; }

    public Guid? SwarmId { get; init; }

    public DateTimeOffset MutedAt { get; init; }

    public string? Reason { get; init; }
}

/// <summary>Whom an agent mutes: an agent by its text id, or a swarm.</summary>
public readonly record struct MuteTarget
{
    private MuteTarget(string? name, SwarmId? swarm) => (Name, Swarm) = (name, swarm);

    public string? Name { get; }

    public SwarmId? Swarm { get; }

    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidName"/>.</exception>
    public static MuteTarget OfAgent(string name) => AgentName.IsValid(name) && name != AgentName.Broadcast
        ? new(name, null)
        : throw new SwarmException(SwarmError.InvalidName);

    public static MuteTarget OfSwarm(SwarmId swarm) => new(null, swarm);

    public override string ToString() => Name is null ? $"swarm {Swarm}" : $"agent {Name}";
}

/// <summary>What the members of one swarm mute that concerns it; part of a roster, so it is as current as that.</summary>
public sealed class RosterMutes
{
    private readonly FrozenSet<AgentId> _swarm;
    private readonly FrozenSet<(AgentId Recipient, string Sender)> _senders;

    private RosterMutes(FrozenSet<AgentId> swarm, FrozenSet<(AgentId Recipient, string Sender)> senders) => (_swarm, _senders) = (swarm, senders);

    /// <summary>Null when nobody mutes anything here, so that it costs nothing.</summary>
    public static RosterMutes? Of(IReadOnlyCollection<MuteRow> rows) => rows.Count == 0
        ? null
        : new(
            rows.Where(r => r.Name is null).Select(r => new AgentId(r.AgentNo)).ToFrozenSet(),
            rows.Where(r => r.Name is not null).Select(r => (new AgentId(r.AgentNo), r.Name!)).ToFrozenSet());

    public bool IsMuted(AgentId recipient, string sender) => _swarm.Contains(recipient) || _senders.Contains((recipient, sender));

    /// <summary>Those who want to hear the sender.</summary>
    public AgentId[] Listeners(AgentId[] recipients, string sender) =>
        Array.Exists(recipients, r => IsMuted(r, sender)) ? Array.FindAll(recipients, r => !IsMuted(r, sender)) : recipients;
}

/// <summary>One thing that is muted.</summary>
public sealed record Mute(MuteTarget Target, DateTimeOffset MutedAt, string? Reason);

/// <summary>
/// Whom an agent does not want to hear (ASP §10.7). The muted are answered as if nothing were different; their messages are stored and
/// make no delivery. Every change raises the versions of the agent's swarms, so it holds for each message accepted after it returned.
/// </summary>
public sealed class Mutes(Decisions decisions, TimeProvider time)
{
    /// <summary>The most things that an agent mutes.</summary>
    public const int PerAgentMax = 1_000;

    /// <summary>The longest reason, in characters.</summary>
    public const int ReasonLengthMax = 1_000;

    /// <summary>Mutes, or replaces time and reason of what is muted already.</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.InvalidRequest"/> for a reason that is too long or holds control characters; <see cref="SwarmError.LimitReached"/>.
    /// </exception>
    public Task MuteAsync(AgentProfile agent, MuteTarget target, string? reason, CancellationToken cancellation)
    {
        if (reason is { Length: > ReasonLengthMax } || reason?.Any(char.IsControl) == true)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A reason has at most {ReasonLengthMax} characters of one line.");
        }

        var now = time.GetUtcNow();
        return decisions.RunAsync(
            $"{agent.Name} muted {target}",
            async scope =>
            {
                await LockSwarmsAsync(scope, agent.Id, cancellation);
                var mutes = scope.Db.Mutes.Where(m => m.AgentNo == agent.Id.Value);
                await RemoveAsync(mutes, target, cancellation);
                if (await mutes.CountAsync(cancellation) >= PerAgentMax)
                {
                    throw new SwarmException(SwarmError.LimitReached, $"An agent mutes at most {PerAgentMax} agents and swarms.");
                }

                scope.Db.Mutes.Add(new() { AgentNo = agent.Id.Value, Name = target.Name, SwarmId = target.Swarm?.Value, MutedAt = now, Reason = reason });
                await scope.Db.SaveChangesAsync(cancellation);
                return true;
            },
            cancellation);
    }

    /// <summary>Ends a mute; false when there was none.</summary>
    public Task<bool> UnmuteAsync(AgentProfile agent, MuteTarget target, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"{agent.Name} unmuted {target}",
            async scope =>
            {
                await LockSwarmsAsync(scope, agent.Id, cancellation);
                return await RemoveAsync(scope.Db.Mutes.Where(m => m.AgentNo == agent.Id.Value), target, cancellation) > 0;
            },
            cancellation);

    /// <summary>Everything that the agent mutes, oldest first.</summary>
    public Task<IReadOnlyList<Mute>> ListAsync(AgentId agent, CancellationToken cancellation) =>
        decisions.ReadAsync<IReadOnlyList<Mute>>(
            async db =>
                [.. (await db.Mutes.AsNoTracking().Where(m => m.AgentNo == agent.Value).OrderBy(m => m.MutedAt).ThenBy(m => m.MuteNo)
                        .ToListAsync(cancellation))
                    .Select(m => new Mute(
                        m.Name is { } name ? MuteTarget.OfAgent(name) : MuteTarget.OfSwarm(new(m.SwarmId!.Value)), m.MutedAt, m.Reason))],
            cancellation);

    private static Task<int> RemoveAsync(IQueryable<MuteRow> mutes, MuteTarget target, CancellationToken cancellation)
    {
        var swarm = target.Swarm?.Value;
        return mutes.Where(m => m.Name == target.Name && m.SwarmId == swarm).ExecuteDeleteAsync(cancellation);
    }

    /// <summary>The agent's row first, so that no join slips in between: its roster would not show the mute.</summary>
    private static async Task LockSwarmsAsync(DecisionScope scope, AgentId agent, CancellationToken cancellation)
    {
        await scope.Db.Database.ExecuteSqlAsync($"select 1 from agents where agent_no = {agent.Value} for update", cancellation);
        var swarms = await scope.Db.Members.Where(m => m.AgentNo == agent.Value).OrderBy(m => m.SwarmNo).Select(m => m.SwarmNo).ToListAsync(cancellation);
        foreach (var swarm in swarms)
        {
            await scope.LockSwarmAsync(swarm, cancellation);
        }
    }
}
