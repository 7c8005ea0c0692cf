using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Swarm.Cli.Output;

namespace Swarm.Cli.Arguments;

/// <summary>An invitation as a person hands it over (ASP §6.1): <c>swarm://ID@HOST?token=JWT</c>, by an option or by standard input.</summary>
internal static class InviteText
{
    private const int BytesMax = 16 * 1024;

    private const string Prefix = "swarm://";

    private const string TokenParameter = "?token=";

    /// <summary>The text; a whole invitation unless <paramref name="mayBeBare"/>, which allows the JWT alone.</summary>
    /// <exception cref="CliException">Exit 2: there is none, or it is too long; exit 4: it is no invitation.</exception>
    public static string Read(string? option, Terminal terminal, bool mayBeBare = false)
    {
        var text = (option is null or "-" && !terminal.InIsTerminal ? FromInput(terminal) : option ?? "").Trim();
        if (text.Length is 0 or > BytesMax || text == "-")
        {
            throw CliException.BadArguments("There is no invitation.", "Give it with -t TOKEN, or pipe it in with -t -.");
        }

        return mayBeBare || text.StartsWith(Prefix, StringComparison.Ordinal)
            ? text
            : throw new CliException(
                ExitCode.Permission, "That is not an invitation.", "An invitation begins with swarm:// and is printed by 'swarm invite'.");
    }

    /// <summary>Which swarm an invitation or its JWT is for, and the JWT's SHA-256 in hex, by which it is revoked.</summary>
    /// <exception cref="CliException">Exit 4: it is no invitation.</exception>
    public static (Guid SwarmId, string Hash) Identify(string text)
    {
        var at = text.StartsWith(Prefix, StringComparison.Ordinal) ? text.IndexOf(TokenParameter, StringComparison.Ordinal) + TokenParameter.Length : 0;
        var jwt = text[at..];
        if ((at == 0 || at >= TokenParameter.Length) && jwt.Split('.') is [_, var payload, _])
        {
            try
            {
                using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(payload));
                if (claims.RootElement.ValueKind == JsonValueKind.Object && claims.RootElement.TryGetProperty("swarm_id", out var id)
                    && id.ValueKind == JsonValueKind.String && SwarmIdText.TryParse(id.GetString()!, out var swarm))
                {
                    return (swarm, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(jwt))));
                }
            }
            catch (Exception e) when (e is FormatException or JsonException or InvalidOperationException)
            {
                // Said below.
            }
        }

        throw new CliException(ExitCode.Permission, "That is not an invitation.", "Hand over what 'swarm invite' printed, or the token in it.");
    }

    private static string FromInput(Terminal terminal) =>
        Encoding.UTF8.GetString(terminal.ReadInput(BytesMax) ?? throw CliException.BadArguments("That is too long for an invitation."));
}
