using Swarm.Client;

namespace Swarm.Cli.Arguments;

/// <summary>Whose key is meant: 64 hex digits, <c>did:a1:</c> and those, or the name of an agent of the node.</summary>
internal static class PublicKeyText
{
    public const string DidPrefix = "did:a1:";

    /// <summary>The length of a key, a fingerprint or a swarm's id in hex.</summary>
    public const int HexLength = 64;

    public static bool IsHex(string text) => text.Length == HexLength && text.All(char.IsAsciiHexDigit);

    /// <summary>The key of a text that names no agent.</summary>
    public static bool TryParse(string text, out string hex)
    {
        var trimmed = text.Trim();
        hex = (trimmed.StartsWith(DidPrefix, StringComparison.Ordinal) ? trimmed[DidPrefix.Length..] : trimmed).ToLowerInvariant();
        return IsHex(hex);
    }

    /// <summary>The key in lower-case hex; an agent's is asked for.</summary>
    /// <exception cref="CliException">Exit 2: the text is neither a key nor an agent id.</exception>
    public static async Task<string> ResolveAsync(string text, SwarmClient client, CancellationToken cancellation)
    {
        if (TryParse(text, out var hex))
        {
            return hex;
        }

        if (text.StartsWith(DidPrefix, StringComparison.Ordinal))
        {
            throw CliException.BadArguments($"'{Shown.Short(text)}' is not a key.", "A key is did:a1: and 64 hex digits.");
        }

        var agent = await client.GetAgentAsync(AgentNameText.Parse(text), cancellation);
        return Convert.ToHexStringLower(Convert.FromBase64String(agent.PublicKey));
    }

    /// <summary>Of a certificate, or the id of a swarm of A1's, in lower case.</summary>
    /// <exception cref="CliException">Exit 2: not 64 hex digits.</exception>
    public static string ParseHex(string text, string what) =>
        IsHex(text.Trim()) ? text.Trim().ToLowerInvariant() : throw CliException.BadArguments($"{what} '{Shown.Short(text)}' is not 64 hex digits.");
}
