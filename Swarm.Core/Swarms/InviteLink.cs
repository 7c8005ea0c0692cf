using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>
/// An invite URL as a joiner reads it before it asks (ASP §6.2): <c>swarm://SWARM@HOST?token=JWT</c>. The signature is not checked here,
/// for the joiner knows no key yet; the master checks it.
/// </summary>
/// <param name="Jwt">What to post.</param>
/// <param name="Claims">Where to post it, and what was promised.</param>
public sealed record InviteLink(string Jwt, InviteClaims Claims)
{
    public const string Scheme = "swarm://";

    /// <summary>The longest URL that is looked at, in characters.</summary>
    public const int LengthMax = InviteToken.LengthMax + 4096;

    /// <summary>Reads the URL.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidToken"/>, or <see cref="SwarmError.TokenExpired"/>.</exception>
    public static InviteLink Parse(string url, DateTimeOffset now)
    {
        if (!url.StartsWith(Scheme, StringComparison.Ordinal))
        {
            throw InviteToken.Invalid("Invalid token URL scheme");
        }

        if (url.Length > LengthMax)
        {
            throw InviteToken.Invalid($"The invite is longer than {LengthMax} characters");
        }

        int at = url.IndexOf('@', StringComparison.Ordinal), query = url.IndexOf('?', StringComparison.Ordinal);
        if (at < 0 || query < at)
        {
            throw InviteToken.Invalid("Invalid token URL: it must read swarm://SWARM@HOST?token=TOKEN");
        }

        var token = TokenIn(url[(query + 1)..]);
        if (token.Count(c => c == '.') != 2)
        {
            throw InviteToken.Invalid("Invalid JWT format");
        }

        var named = url[Scheme.Length..at];
        var claims = ReadClaims(token, named);
        if (claims.ExpiresAt < now)
        {
            throw new SwarmException(SwarmError.TokenExpired, $"Token expired at {AspTimestamp.Format(claims.ExpiresAt.Value)}");
        }

        return new InviteLink(token, claims);
    }

    private static InviteClaims ReadClaims(string jwt, string named)
    {
        InviteToken token;
        try
        {
            token = InviteToken.Parse(jwt);
        }
        catch (SwarmException refused) when (refused.Error == SwarmError.UnknownSwarm)
        {
            throw InviteToken.Invalid("swarm_id mismatch");
        }

        var algorithm = token.ReadAlgorithm();
        if (algorithm != "EdDSA")
        {
            throw InviteToken.Invalid($"Unsupported algorithm: {InviteToken.Shorten(algorithm)}");
        }

        return token.SwarmId.ToString() == named ? token.ReadUnverified() : throw InviteToken.Invalid("swarm_id mismatch");
    }

    private static string TokenIn(string query)
    {
        foreach (var parameter in query.Split('&'))
        {
            if (parameter.StartsWith("token=", StringComparison.Ordinal))
            {
                return parameter["token=".Length..];
            }
        }

        throw InviteToken.Invalid("The invite holds no token");
    }
}
