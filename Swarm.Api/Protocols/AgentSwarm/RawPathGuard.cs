using System.Text;
using Microsoft.AspNetCore.Http.Features;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>
/// Refuses paths that say one thing before decoding and another after (design §5): <c>.</c> and <c>..</c> segments, encoded slashes and
/// backslashes, broken escapes. The server resolves dot segments before routing, so the request line itself is looked at.
/// </summary>
internal static class RawPathGuard
{
    /// <summary>True when the path of the request line names one thing whatever is decoded when.</summary>
    public static bool IsPlain(HttpContext context)
    {
        var target = context.Features.Get<IHttpRequestFeature>()?.RawTarget;
        return string.IsNullOrEmpty(target) || IsPlain(target);
    }

    internal static bool IsPlain(ReadOnlySpan<char> target)
    {
        var path = PathOf(target);
        if (!path.ContainsAny('%', '\\') && !path.Contains("/.", StringComparison.Ordinal))
        {
            return true;
        }

        foreach (var range in path.Split('/'))
        {
            if (!IsPlainSegment(path[range]))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsPlainSegment(ReadOnlySpan<char> segment)
    {
        if (!HasWholeEscapes(segment))
        {
            return false;
        }

        var decoded = Uri.UnescapeDataString(segment);
        return decoded is not ("." or "..") && !decoded.AsSpan().ContainsAny('/', '\\', '\0') && !decoded.Contains('%', StringComparison.Ordinal);
    }

    private static bool HasWholeEscapes(ReadOnlySpan<char> segment)
    {
        for (var i = segment.IndexOf('%'); i >= 0 && i < segment.Length; i++)
        {
            if (segment[i] == '%' && (i + 2 >= segment.Length || !char.IsAsciiHexDigit(segment[i + 1]) || !char.IsAsciiHexDigit(segment[i + 2])))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The path of an origin-form or absolute-form target, query and fragment cut off.</summary>
    private static ReadOnlySpan<char> PathOf(ReadOnlySpan<char> target)
    {
        var end = target.IndexOfAny('?', '#');
        var path = end < 0 ? target : target[..end];
        var authority = path.IndexOf("://", StringComparison.Ordinal);
        if (path.StartsWith('/') || authority < 0)
        {
            return path;
        }

        var afterAuthority = path[(authority + 3)..];
        var slash = afterAuthority.IndexOf('/');
        return slash < 0 ? [] : afterAuthority[slash..];
    }
}
