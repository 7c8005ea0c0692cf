using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Identity;

namespace Swarm.Core.Delivery.Wake;

/// <summary>How an agent is woken.</summary>
public enum WakeAction : short
{
    None = 0,

    /// <summary>A POST that lists what waits, signed with a shared secret (docs/operations.md).</summary>
    Webhook = 1,

    /// <summary>The protocol's own POST (ASP §11.1), with the secret in <c>X-Wake-Secret</c>.</summary>
    Protocol = 2,
}

/// <summary>What an agent asked for, and how the last wake went.</summary>
/// <param name="LastResult">A few words without secrets; null before the first.</param>
public sealed record WakeSetup(
    WakePreferences Preferences, WakeAction Action, string? Url, bool HasSecret, DateTimeOffset? LastAt, string? LastResult);

/// <summary>When and how agents are woken (ASP §11.2). Secrets are sealed under the node's master key and never shown again.</summary>
public sealed class WakeSettings(NpgsqlDataSource database, Decisions decisions, KeyVault vault)
{
    /// <summary>The longest URL, in characters.</summary>
    public const int UrlLengthMax = 2_048;

    /// <summary>The longest secret, in characters; visible ASCII, because it travels in a header.</summary>
    public const int SecretLengthMax = 256;

    private const int MadeSecretBytes = 32;

    public async Task<WakeSetup> GetAsync(AgentId agent, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "select preferences, action, url, sealed_secret is not null, last_at, last_result from wakes where agent_no = $1");
        command.Parameters.Add(new() { Value = agent.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(
                Read(reader.GetString(0)), (WakeAction)reader.GetInt16(1), reader.IsDBNull(2) ? null : reader.GetString(2), reader.GetBoolean(3),
                reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4), reader.IsDBNull(5) ? null : reader.GetString(5))
            : new(WakePreferences.Default, WakeAction.None, null, false, null, null);
    }

    /// <summary>
    /// Replaces what the agent asked for; from now on it is woken for what arrives from now on, or where it was when it had an action before.
    /// </summary>
    /// <param name="secret">A new secret; empty for none; null to keep the one that is there.</param>
    /// <returns>The secret that was made, because a webhook needs one and none was given; else null.</returns>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>, and what is wrong.</exception>
    public async Task<string?> SetAsync(
        AgentProfile agent, WakePreferences preferences, WakeAction action, string? url, string? secret, CancellationToken cancellation)
    {
        preferences.Check();
        Check(action, url, secret);
        var before = await GetAsync(agent.Id, cancellation);
        string? made = null;
        if (action == WakeAction.Webhook && (secret is { Length: 0 } || (secret is null && !before.HasSecret)))
        {
            secret = made = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(MadeSecretBytes));
        }

        var json = JsonSerializer.Serialize(preferences, WakeJson.Default.WakePreferences);
        var keep = secret is null && action != WakeAction.None;
        var sealedSecret = string.IsNullOrEmpty(secret) ? null : vault.Seal(Encoding.UTF8.GetBytes(secret), Associated(agent.Id));
        await decisions.RunAsync(
            $"wake of {agent.Name} set: {action}{(url is null ? "" : $" at {new Uri(url).Authority}")}",
            async scope =>
            {
                await scope.Db.Database.ExecuteSqlAsync(
                    $"""
                    insert into wakes as w (agent_no, preferences, action, url, sealed_secret, looked_seq)
                    values ({agent.Id.Value}, {json}, {(short)action}, {url}, {sealedSecret},
                            coalesce((select last_seq from mailboxes where recipient_no = {agent.Id.Value}), 0))
                    on conflict (agent_no) do update set
                        preferences = excluded.preferences, action = excluded.action, url = excluded.url,
                        sealed_secret = case when {keep} then w.sealed_secret else excluded.sealed_secret end,
                        looked_seq = case when w.action = 0 then excluded.looked_seq else w.looked_seq end,
                        due_at = null, seen_seq = excluded.seen_seq, attempts = 0
                    """,
                    cancellation);
                scope.AgentChanged(agent.Id.Value);
                return true;
            },
            cancellation);
        return made;
    }

    internal string? Open(AgentId agent, byte[]? sealedSecret) =>
        sealedSecret is null ? null : Encoding.UTF8.GetString(vault.Unseal(sealedSecret, Associated(agent)));

    internal static WakePreferences Read(string json) => JsonSerializer.Deserialize(json, WakeJson.Default.WakePreferences)!;

    private static byte[] Associated(AgentId agent) => Encoding.UTF8.GetBytes($"wake secret of agent {agent}");

    private static void Check(WakeAction action, string? url, string? secret)
    {
        if (!Enum.IsDefined(action) || (action == WakeAction.None) != (url is null))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "An action needs a url, and a url an action.");
        }

        if (url is not null && (url.Length > UrlLengthMax || url.Any(char.IsControl) || !Uri.TryCreate(url, UriKind.Absolute, out var uri)
                || uri.Scheme is not ("https" or "http") || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0))
        {
            throw new SwarmException(
                SwarmError.InvalidRequest, $"url is an absolute https URL of at most {UrlLengthMax} characters, without user name or fragment.");
        }

        if (secret is { Length: > SecretLengthMax } || secret?.Any(c => c is <= ' ' or > '~') == true)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A secret has at most {SecretLengthMax} visible ASCII characters.");
        }
    }
}
