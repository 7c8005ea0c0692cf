using System.Security.Cryptography;
using System.Text;
using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Core.Capabilities;

/// <summary>
/// The value of <c>X-A1-Webhook-Signature</c>. A1's gateway sends the first form and its TypeScript helper expects the second (A1 §15), so that no
/// receiver can check A1's own; a sender offers both.
/// </summary>
public static class WebhookSignature
{
    private const string Unset = "a1::64796f6c6f::webhook::v2.8.0";

    /// <summary>A1's own: BLAKE3 key derivation with the secret in the context, in spite of its prefix.</summary>
    public static string Blake3(string? secret, ReadOnlySpan<byte> body) => $"sha256={new DerivationContext(ContextOf(secret)).Derive(body)}";

    /// <summary>What the helper checks: HMAC-SHA256 under the SHA-256 of the same context.</summary>
    public static string Hmac(string? secret, ReadOnlySpan<byte> body) =>
        $"sha256={Convert.ToHexStringLower(HMACSHA256.HashData(SHA256.HashData(Encoding.UTF8.GetBytes(ContextOf(secret))), body))}";

    private static string ContextOf(string? secret) => $"a1::64796f6c6f::webhook::{secret ?? Unset}::v2.8.0";
}
