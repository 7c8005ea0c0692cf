using System.Buffers;

namespace Swarm.Core.Identity;

/// <summary>The grammar of an agent's text id (ASP §2.2): 1–256 of the ASCII letters, digits, <c>_</c>, <c>.</c>, <c>-</c>; case counts.</summary>
public static class AgentName
{
    /// <summary>The longest text id, in characters.</summary>
    public const int LengthMax = 256;

    /// <summary>The recipient that means every other member (ASP §3).</summary>
    public const string Broadcast = "broadcast";

    private static readonly SearchValues<char> Allowed =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

    /// <summary>True when <paramref name="text"/> follows the grammar.</summary>
    public static bool IsValid(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= LengthMax && !text.ContainsAnyExcept(Allowed);

    /// <summary>
    /// True when an agent of this node may carry the name: the grammar, and neither <c>.</c> nor <c>..</c> (they would be lost in
    /// a URL path) nor <c>broadcast</c> (it could never be addressed).
    /// </summary>
    public static bool IsValidForLocal(ReadOnlySpan<char> text) => IsValid(text) && text is not ("." or ".." or Broadcast);
}
