using System.Globalization;
using NSec.Cryptography;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>
/// The environment variables of a reference server (ASP §16), where <c>AgentSwarm:ReferenceEnvironment</c> asks for them: others use such
/// general names too. Each stands for a setting of ours, which wins when it is set; docs/operations.md has the table.
/// </summary>
internal static class ReferenceEnvironment
{
    public const string Switch = "AgentSwarm:ReferenceEnvironment";

    private static readonly string[] Identity = ["AGENT_ID", "AGENT_ENDPOINT", "AGENT_PUBLIC_KEY"];

    private static readonly (string Variable, string Setting, Kind Kind)[] Mapped =
    [
        ("RATE_LIMIT_MESSAGES_PER_MINUTE", "Limits:SenderPerMinute", Kind.Number),
        ("WAKE_EP_ENABLED", "AgentSwarm:Wake:Enabled", Kind.Boolean),
        ("WAKE_EP_INVOKE_METHOD", "AgentSwarm:Wake:Method", Kind.Text),
        ("WAKE_EP_TMUX_TARGET", "AgentSwarm:Wake:TmuxTarget", Kind.Text),
        ("WAKE_EP_SECRET", "AgentSwarm:Wake:Secret", Kind.Text),
        ("WAKE_EP_SESSION_FILE", "AgentSwarm:Wake:SessionFile", Kind.Text),
        ("WAKE_EP_SESSION_TIMEOUT", "AgentSwarm:Wake:SessionTimeoutMinutes", Kind.Number),
    ];

    private enum Kind
    {
        Text,
        Number,
        Boolean,
    }

    public static bool IsOn(IConfiguration configuration) => TryBoolean(configuration[Switch], out var on) && on;

    /// <summary>Puts the settings that the variables stand for beside ours; returns what a start should say about them.</summary>
    public static IReadOnlyList<string> Apply(ConfigurationManager configuration)
    {
        var settings = new Dictionary<string, string?>();
        var warnings = new List<string>();
        foreach (var (variable, setting, kind) in IsOn(configuration) ? Mapped : [])
        {
            var value = configuration[variable];
            if (string.IsNullOrEmpty(value) || !string.IsNullOrEmpty(configuration[setting]))
            {
                continue;
            }

            if (kind == Kind.Boolean)
            {
                if (TryBoolean(value, out var flag))
                {
                    settings[setting] = flag ? "true" : "false";
                }
                else
                {
                    warnings.Add($"{variable} is neither 1, true, yes nor 0, false, no; the default stands");
                }
            }
            else
            {
                settings[setting] = value.Trim();
            }
        }

        configuration.AddInMemoryCollection(settings);
        return warnings;
    }

    /// <summary>Everything that is missing or wrong; none when the switch is off.</summary>
    public static IEnumerable<string> Faults(IConfiguration configuration)
    {
        if (!IsOn(configuration))
        {
            yield break;
        }

        foreach (var variable in Identity.Where(name => string.IsNullOrWhiteSpace(configuration[name])))
        {
            yield return $"{variable} is not set";
        }

        foreach (var (variable, _, _) in Mapped.Where(m => m.Kind == Kind.Number && configuration[m.Variable] is { Length: > 0 } text
            && !int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out _)))
        {
            yield return $"{variable} is not a whole number";
        }

        if (configuration["AGENT_ID"] is { Length: > 0 } id && !AgentName.IsValidForLocal(id))
        {
            yield return "AGENT_ID is not an agent id";
        }

        if (configuration["AGENT_ENDPOINT"] is { Length: > 0 } endpoint && !Agents.IsValidEndpoint(endpoint))
        {
            yield return "AGENT_ENDPOINT does not begin with https://";
        }

        PublicKey? publicKey = null;
        if (configuration["AGENT_PUBLIC_KEY"] is { Length: > 0 } text && !PublicKeyText.TryParse(text, out publicKey))
        {
            yield return "AGENT_PUBLIC_KEY is not base64 of the 32 bytes of an Ed25519 key";
        }

        if (configuration["AGENT_PRIVATE_KEY_PATH"] is { Length: > 0 } path)
        {
            if (KeyFault(path, publicKey) is { } fault)
            {
                yield return fault;
            }
        }
    }

    /// <summary>The agent that the variables name, with its seed when the node is to sign for it; null when the switch is off.</summary>
    public static NewAgent? Agent(IConfiguration configuration)
    {
        if (!IsOn(configuration))
        {
            return null;
        }

        var agent = new NewAgent(configuration["AGENT_ID"]!)
        {
            Endpoint = configuration["AGENT_ENDPOINT"],
            DisplayName = NullIfEmpty(configuration["AGENT_NAME"]),
            Description = NullIfEmpty(configuration["AGENT_DESCRIPTION"]),
            IsDefault = true,
        };
        return configuration["AGENT_PRIVATE_KEY_PATH"] is { Length: > 0 } path
            ? agent with { Seed = File.ReadAllBytes(path) }
            : agent with { PublicKey = PublicKeyText.Parse(configuration["AGENT_PUBLIC_KEY"]!).Export(KeyBlobFormat.RawPublicKey) };
    }

    /// <summary><c>1 true yes</c> and <c>0 false no</c> in any case; false for anything else.</summary>
    public static bool TryBoolean(string? text, out bool value)
    {
        value = text?.Trim().ToUpperInvariant() is "1" or "TRUE" or "YES";
        return value || text?.Trim().ToUpperInvariant() is "0" or "FALSE" or "NO";
    }

    private static string? KeyFault(string path, PublicKey? publicKey)
    {
        try
        {
            using var key = SeedFile.Load(path);
            return publicKey is null || key.PublicKey.Equals(publicKey) ? null : "AGENT_PUBLIC_KEY is not the key of AGENT_PRIVATE_KEY_PATH";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SwarmException)
        {
            return $"AGENT_PRIVATE_KEY_PATH cannot be used: {e.Message}";
        }
    }

    private static string? NullIfEmpty(string? text) => string.IsNullOrEmpty(text) ? null : text;
}

/// <summary>Makes the agent that the variables of a reference server name the node's default agent, when it is not here yet.</summary>
internal sealed partial class ReferenceAgent(IConfiguration configuration, Agents agents, AgentDirectory directory, ILogger<ReferenceAgent> log)
{
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidKey"/>: an agent of that name is here with another key.</exception>
    public async Task EnsureAsync(CancellationToken cancellation)
    {
        if (ReferenceEnvironment.Agent(configuration) is not { } wanted)
        {
            return;
        }

        var found = await directory.FindAsync(wanted.Name, cancellation);
        if (found is null)
        {
            try
            {
                (found, _) = await agents.CreateAsync(wanted, cancellation);
                Made(log, wanted.Name);
            }
            catch (SwarmException e) when (e.Error == SwarmError.NameTaken)
            {
                found = await directory.FindAsync(wanted.Name, cancellation) ?? throw new SwarmException(
                    SwarmError.NameTaken, $"The agent '{wanted.Name}' of AGENT_ID was revoked; its name is not given again.");
            }
        }

        if (PublicKeyText.Format(found.PublicKey) != configuration["AGENT_PUBLIC_KEY"])
        {
            throw new SwarmException(SwarmError.InvalidKey, $"The agent '{wanted.Name}' is here with another key than AGENT_PUBLIC_KEY.");
        }
    }

    [LoggerMessage(EventId = 2108, Level = LogLevel.Information, Message = "Agent {Name} was made from AGENT_ID and its like; it is the default agent")]
    private static partial void Made(ILogger log, string name);
}
