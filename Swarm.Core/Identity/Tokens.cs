using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Identity;

/// <summary>Who a bearer token speaks for.</summary>
/// <param name="TokenId">The token's number.</param>
/// <param name="Scope">What it allows.</param>
/// <param name="Agent">The agent of an agent's token.</param>
/// <param name="ExpiresAt">When it ends; null for never.</param>
public sealed record Principal(long TokenId, TokenScope Scope, AgentId? Agent, DateTimeOffset? ExpiresAt)
{
    public bool IsAdmin => Scope == TokenScope.OperatorAdmin;

    public bool IsOperator => Scope is TokenScope.OperatorAdmin or TokenScope.OperatorRead;

    /// <summary>May look at what belongs to the agent.</summary>
    public bool MaySee(AgentId agent) => IsOperator || Agent == agent;

    /// <summary>May act as the agent.</summary>
    public bool MayActAs(AgentId agent) => IsAdmin || Agent == agent;

    public override string ToString() => Agent is { } agent ? $"agent {agent}" : Scope.ToString();
}

/// <summary>A token as its owner sees it once.</summary>
public sealed record IssuedToken(long TokenId, string Text, string? Label, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt);

/// <summary>
/// Bearer tokens: 256 random bits, kept as SHA-256, shown once, revocable (design §5). A look-up hashes what was presented and
/// searches by the hash, so its time tells nothing about the tokens that exist.
/// </summary>
public sealed class Tokens
{
    /// <summary>The most principals that are kept; above it the cache starts again.</summary>
    public const int PrincipalsMax = 20_000;

    /// <summary>How long a principal is believed without asking the database again, should a control event have been lost.</summary>
    public static readonly TimeSpan BelievedFor = TimeSpan.FromSeconds(30);

    /// <summary>The most tokens of one agent that may be valid at a time.</summary>
    public const int PerAgentMax = 100;

    private const int RandomLength = 32;
    private const string Prefix = "swarm_";

    /// <summary>The length of a token's text, in characters: the prefix and 32 bytes in base64url.</summary>
    public static readonly int TextLength = Prefix.Length + Base64Url.GetEncodedLength(RandomLength);

    private readonly NpgsqlDataSource _database;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, (Principal Principal, long ReadAt)> _known = new();
    private int _changes;

    public Tokens(NpgsqlDataSource database, ControlEvents control, TimeProvider time)
    {
        _database = database;
        _time = time;
        control.Missed += Forget;
        control.Changed += change =>
        {
            if (change.Kind is ControlKind.Token or ControlKind.Agent)
            {
                Forget(p => change.Kind == ControlKind.Token ? p.TokenId == change.No : p.Agent?.Value == change.No);
            }
        };
    }

    /// <summary>The principal of a token that is valid now; null for any other text.</summary>
    public async ValueTask<Principal?> AuthenticateAsync(string text, CancellationToken cancellation)
    {
        if (text.Length != TextLength || !text.StartsWith(Prefix, StringComparison.Ordinal))
        {
            return null;
        }

        var hash = Hash(text);
        var id = Convert.ToHexString(hash);
        if (_known.TryGetValue(id, out var known) && _time.GetElapsedTime(known.ReadAt) < BelievedFor)
        {
            return Current(known.Principal);
        }

        var readAt = _time.GetTimestamp();
        var changes = Volatile.Read(ref _changes);
        if (await ReadAsync(hash, cancellation) is not { } principal)
        {
            return null;
        }

        if (_known.Count >= PrincipalsMax)
        {
            _known.Clear();
        }

        _known[id] = (principal, readAt);
        if (changes != Volatile.Read(ref _changes))
        {
            // A revocation may have come while we read: believe it this once, do not keep it.
            _known.TryRemove(id, out _);
        }

        return Current(principal);
    }

    private async Task<Principal?> ReadAsync(byte[] hash, CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand(
            """
            update tokens set last_used_at = $2 where token_hash = $1 and revoked_at is null and scope <> $3
            returning token_id, scope, agent_no, expires_at
            """);
        command.Parameters.Add(new() { Value = hash });
        command.Parameters.Add(new() { Value = _time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = (short)TokenScope.Enrolment });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(
                reader.GetInt64(0), (TokenScope)reader.GetInt16(1), reader.IsDBNull(2) ? null : new AgentId(reader.GetInt64(2)),
                reader.IsDBNull(3) ? null : reader.GetFieldValue<DateTimeOffset>(3))
            : null;
    }

    private void Forget()
    {
        Interlocked.Increment(ref _changes);
        _known.Clear();
    }

    private void Forget(Func<Principal, bool> concerned)
    {
        Interlocked.Increment(ref _changes);
        foreach (var (id, known) in _known)
        {
            if (concerned(known.Principal))
            {
                _known.TryRemove(id, out _);
            }
        }
    }

    /// <summary>Makes a token within the caller's decision.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.LimitReached"/>.</exception>
    public async Task<IssuedToken> IssueAsync(
        DecisionScope scope, TokenScope kind, AgentId? agent, string? label, TimeSpan? lifetime, CancellationToken cancellation)
    {
        if (agent is { } owner
            && await scope.Db.Tokens.CountAsync(t => t.AgentNo == owner.Value && t.RevokedAt == null, cancellation) >= PerAgentMax)
        {
            throw new SwarmException(SwarmError.LimitReached, $"An agent has at most {PerAgentMax} valid tokens; revoke one first.");
        }

        var text = Prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomLength));
        var now = _time.GetUtcNow();
        var expiresAt = now + lifetime;
        await using var command = new NpgsqlCommand(
            """
            insert into tokens (token_hash, scope, agent_no, label, created_at, expires_at) values ($1, $2, $3, $4, $5, $6) returning token_id
            """,
            scope.Connection);
        command.Parameters.Add(new() { Value = Hash(text) });
        command.Parameters.Add(new() { Value = (short)kind });
        command.Parameters.Add(new() { Value = agent?.Value ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new() { Value = label ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = expiresAt?.UtcDateTime ?? (object)DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        return new((long)(await command.ExecuteScalarAsync(cancellation))!, text, label, now, expiresAt);
    }

    /// <summary>Uses up an enrolment token within the caller's decision.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.Unauthenticated"/>: unknown, used, revoked or expired.</exception>
    public async Task SpendEnrolmentAsync(DecisionScope scope, string text, CancellationToken cancellation)
    {
        var hash = Hash(text);
        var now = _time.GetUtcNow();
        var spent = await scope.Db.Tokens
            .Where(t => t.TokenHash == hash && t.Scope == TokenScope.Enrolment && t.RevokedAt == null && t.ExpiresAt > now)
            .ExecuteUpdateAsync(s => s.SetProperty(t => t.RevokedAt, now).SetProperty(t => t.LastUsedAt, now), cancellation);
        if (spent != 1)
        {
            throw new SwarmException(SwarmError.Unauthenticated, "The enrolment token is unknown, used, or has expired.");
        }
    }

    /// <summary>What is kept of a token.</summary>
    public static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private Principal? Current(Principal principal) => principal.ExpiresAt is { } end && end <= _time.GetUtcNow() ? null : principal;
}
