using System.Buffers;
using System.Net;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>
/// A URL from an agent in the one form that is checked and called: scheme https or http, no user information, no zone, no trailing dot,
/// the host an IP address in its usual form or a DNS name.
/// </summary>
public sealed class EgressUrl
{
    /// <summary>The longest URL, in characters.</summary>
    public const int LengthMax = 2048;

    private const int HostLengthMax = 253;
    private const int LabelLengthMax = 63;

    private static readonly SearchValues<char> LabelCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-_");

    private EgressUrl(Uri uri, IPAddress? address)
    {
        Uri = uri;
        Address = address;
    }

    public Uri Uri { get; }

    /// <summary>The address that the URL names itself, or null when its host is a name.</summary>
    public IPAddress? Address { get; }

    /// <summary>Whom the URL reaches: scheme, host and port, in lower case. Budgets and breakers are kept by it.</summary>
    public string Destination => $"{Uri.Scheme}://{Uri.IdnHost}:{Uri.Port}";

    /// <summary>Reads a URL; null when it must not be called, whatever its address.</summary>
    public static EgressUrl? Parse(string? text)
    {
        if (text is null || text.Length > LengthMax || text.Any(c => char.IsControl(c) || char.IsWhiteSpace(c) || c == '\\')
            || !Uri.TryCreate(text, UriKind.Absolute, out var uri)
            || (uri.Scheme != Uri.UriSchemeHttps && uri.Scheme != Uri.UriSchemeHttp)
            || uri.UserInfo.Length > 0 || HasUserInfo(text) || uri.Port is <= 0 or > 65535)
        {
            return null;
        }

        var host = uri.IdnHost;
        if (host.EndsWith('.'))
        {
            // "127.0.0.1." and "example.com." are the same hosts without the dot, and only without it certificates match.
            host = host[..^1];
            if (!TryRehost(uri, host, out uri))
            {
                return null;
            }

            host = uri.IdnHost;
        }

        if (uri.HostNameType is UriHostNameType.IPv4 or UriHostNameType.IPv6)
        {
            return !host.Contains('%', StringComparison.Ordinal) && IPAddress.TryParse(host, out var address) ? new(uri, address) : null;
        }

        return uri.HostNameType == UriHostNameType.Dns && IsName(host) ? new(uri, null) : null;
    }

    // "https://@host" has empty user information, which Uri forgets; nobody writes it in good faith.
    private static bool HasUserInfo(string text)
    {
        var start = text.IndexOf("//", StringComparison.Ordinal) + 2;
        var end = text.AsSpan(start).IndexOfAny("/?#");
        return text.AsSpan(start, end < 0 ? text.Length - start : end).Contains('@');
    }

    private static bool TryRehost(Uri uri, string host, out Uri rehosted)
    {
        rehosted = uri;
        if (host.Length == 0 || host.EndsWith('.') || !Uri.TryCreate($"{uri.Scheme}://{host}:{uri.Port}{uri.PathAndQuery}", UriKind.Absolute, out var made))
        {
            return false;
        }

        rehosted = made;
        return true;
    }

    private static bool IsName(string host)
    {
        if (host.Length is 0 or > HostLengthMax)
        {
            return false;
        }

        var labels = host.Split('.');
        if (labels.Any(label => label.Length is 0 or > LabelLengthMax || label.AsSpan().ContainsAnyExcept(LabelCharacters)))
        {
            return false;
        }

        // A resolver may read a name whose last label is a number as an IPv4 address in one of its odd forms; Uri has already read those it knows.
        var last = labels[^1];
        return !last.All(char.IsAsciiDigit) && !(last.StartsWith("0x", StringComparison.Ordinal) && last.Skip(2).All(char.IsAsciiHexDigit));
    }
}
