using System.Buffers;

namespace Swarm.Core.Capabilities.Json;

/// <summary>Hex text of any length, as A1 reads it: pairs of digits of either case, no prefix.</summary>
public static class HexText
{
    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdefABCDEF");

    public static bool IsHex(ReadOnlySpan<char> text) => text.Length % 2 == 0 && !text.ContainsAnyExcept(Digits);
}
