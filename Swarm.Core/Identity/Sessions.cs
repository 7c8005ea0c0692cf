using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Identity;

/// <summary>Something that stays open on the strength of a token, such as a stream.</summary>
public sealed class Session : IDisposable
{
    private readonly CancellationTokenSource _ended = new();
    private readonly Sessions _owner;

    internal Session(Sessions owner, Principal principal, AgentId agent, DateTimeOffset openedAt) =>
        (_owner, Principal, Agent, OpenedAt) = (owner, principal, agent, openedAt);

    public Principal Principal { get; }

    public AgentId Agent { get; }

    public DateTimeOffset OpenedAt { get; }

    /// <summary>Cancelled when the token, or the agent that it is about, is no longer valid, or the agent has lost what a swarm had granted it.</summary>
    public CancellationToken Ended => _ended.Token;

    public void Dispose() => _owner.Close(this);

    /// <summary>The source is never disposed: it has no timer, and an event may be on its way.</summary>
    internal void End() => _ended.Cancel();
}

/// <summary>
/// Ends what a revoked token, agent or grant has open within a second, with and without Redis (design §3 promise 7). One query answers for all
/// sessions that a change may concern, so ten thousand streams cost no more than one.
/// </summary>
public sealed class Sessions : BackgroundService
{
    /// <summary>How often expired tokens are looked for.</summary>
    public static readonly TimeSpan ExpiryInterval = TimeSpan.FromSeconds(1);

    /// <summary>A change this recent may have been made while the session's token was being checked.</summary>
    private static readonly TimeSpan Recent = TimeSpan.FromSeconds(5);

    /// <summary>The most that this node's clock and the database's differ. What was opened so shortly after a grant ended, ends too; its client comes back.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<Session, bool> _open = new();
    private readonly ConcurrentQueue<Func<Session, bool>> _suspicions = new();
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly NpgsqlDataSource _database;
    private readonly TimeProvider _time;
    private long _changedAt;

    public Sessions(NpgsqlDataSource database, ControlEvents control, TimeProvider time)
    {
        _database = database;
        _time = time;
        _changedAt = time.GetTimestamp() - time.TimestampFrequency * 60;
        control.Missed += () => Suspect(static _ => true);
        control.Changed += change =>
        {
            if (change.Kind == ControlKind.Agent)
            {
                Suspect(s => s.Agent.Value == change.No || s.Principal.Agent?.Value == change.No);
            }
            else if (change.Kind == ControlKind.Token)
            {
                Suspect(s => s.Principal.TokenId == change.No);
            }
        };
    }

    /// <summary>How many are open.</summary>
    public int Count => _open.Count;

    /// <summary>Opens a session; dispose it when what it is for has ended.</summary>
    public Session Open(Principal principal, AgentId agent)
    {
        var session = new Session(this, principal, agent, _time.GetUtcNow());
        _open[session] = true;
        if (_time.GetElapsedTime(Volatile.Read(ref _changedAt)) < Recent)
        {
            Enqueue(s => s == session);
        }

        return session;
    }

    internal void Close(Session session) => _open.TryRemove(session, out _);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(ExpiryInterval, _time);
        var tick = timer.WaitForNextTickAsync(stoppingToken).AsTask();
        var wake = _wake.Reader.ReadAsync(stoppingToken).AsTask();
        while (true)
        {
            try
            {
                await Task.WhenAny(tick, wake);
                if (wake.IsCompleted)
                {
                    await wake;
                    wake = _wake.Reader.ReadAsync(stoppingToken).AsTask();
                    await CheckSuspectsAsync(stoppingToken);
                }

                if (tick.IsCompleted)
                {
                    await tick;
                    tick = timer.WaitForNextTickAsync(stoppingToken).AsTask();
                    EndExpired();
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void Suspect(Func<Session, bool> concerns)
    {
        Volatile.Write(ref _changedAt, _time.GetTimestamp());
        Enqueue(concerns);
    }

    private void Enqueue(Func<Session, bool> concerns)
    {
        _suspicions.Enqueue(concerns);
        _wake.Writer.TryWrite(true);
    }

    private void EndExpired()
    {
        var now = _time.GetUtcNow();
        foreach (var session in _open.Keys.Where(s => s.Principal.ExpiresAt <= now))
        {
            session.End();
        }
    }

    private async Task CheckSuspectsAsync(CancellationToken cancellation)
    {
        var suspects = new HashSet<Session>();
        while (_suspicions.TryDequeue(out var concerns))
        {
            suspects.UnionWith(_open.Keys.Where(concerns));
        }

        if (suspects.Count == 0)
        {
            return;
        }

        HashSet<long> tokens;
        Dictionary<long, DateTimeOffset> agents;
        try
        {
            (tokens, agents) = await ReadValidAsync(suspects, cancellation);
        }
        catch (Exception e) when (DatabaseFailure.Is(e))
        {
            // The right cannot be confirmed, so it ends; who follows a stream resumes where it was.
            (tokens, agents) = ([], []);
        }

        foreach (var session in suspects.Where(s =>
            !tokens.Contains(s.Principal.TokenId) || !agents.TryGetValue(s.Agent.Value, out var lostAt) || lostAt > s.OpenedAt - Skew))
        {
            session.End();
        }
    }

    /// <summary>The tokens that are valid, and the agents, with when they last lost a grant.</summary>
    private async Task<(HashSet<long> Tokens, Dictionary<long, DateTimeOffset> Agents)> ReadValidAsync(HashSet<Session> suspects, CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand(
            """
            select true, t.token_id, null from tokens t left join agents a on a.agent_no = t.agent_no
            where t.token_id = any ($1) and t.revoked_at is null and a.revoked_at is null
            union all
            select false, agent_no, g.ended_at from agents left join grant_endings g using (agent_no) where agent_no = any ($2) and revoked_at is null
            """);
        command.Parameters.Add(new() { Value = suspects.Select(s => s.Principal.TokenId).Distinct().ToArray() });
        command.Parameters.Add(new() { Value = suspects.Select(s => s.Agent.Value).Distinct().ToArray() });
        var (tokens, agents) = (new HashSet<long>(), new Dictionary<long, DateTimeOffset>());
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            if (reader.GetBoolean(0))
            {
                tokens.Add(reader.GetInt64(1));
            }
            else
            {
                agents.Add(reader.GetInt64(1), reader.IsDBNull(2) ? DateTimeOffset.MinValue : reader.GetFieldValue<DateTimeOffset>(2));
            }
        }

        return (tokens, agents);
    }
}
