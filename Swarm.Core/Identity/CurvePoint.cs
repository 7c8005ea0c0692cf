using System.Numerics;

namespace Swarm.Core.Identity;

/// <summary>Whether 32 bytes are a point of Ed25519's curve at all (RFC 8032 §5.1.3). Verification says only that a signature is wrong.</summary>
internal static class CurvePoint
{
    private static readonly BigInteger P = BigInteger.Pow(2, 255) - 19;
    private static readonly BigInteger D = BigInteger.Parse("37095705934669439343138083508754565189542113879843219016388785533085940283555");
    private static readonly BigInteger Half = (P - 1) / 2;

    /// <summary>
    /// True when some x belongs to the y that the bytes give: x² = (y² − 1) / (d·y² + 1) has a root, which Euler's criterion tells. A y that is not
    /// canonical, or of a point of small order, is a point here; verification refuses it.
    /// </summary>
    public static bool IsOnCurve(ReadOnlySpan<byte> raw)
    {
        Span<byte> y = stackalloc byte[PublicKeys.LengthBytes];
        raw.CopyTo(y);
        y[^1] &= 0x7F;
        var square = BigInteger.ModPow(new BigInteger(y, isUnsigned: true), 2, P);
        var product = (square - 1 + P) * ((D * square) + 1) % P;
        return product.IsZero || BigInteger.ModPow(product, Half, P).IsOne;
    }
}
