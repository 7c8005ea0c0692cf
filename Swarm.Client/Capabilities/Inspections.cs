using System.Text.Json.Nodes;

namespace Swarm.Client;

/// <summary>A certificate, chain, passport or token of A1, explained by the node.</summary>
/// <param name="Kind"><c>certificate</c>, <c>chain</c>, <c>passport</c> or <c>token</c>.</param>
/// <param name="Fingerprint">The chain's (of a token too), or the certificate's.</param>
/// <param name="Namespace">The passport's or swarm's name, as the last signer wrote it; null for none.</param>
/// <param name="Principal">Of a chain alone.</param>
/// <param name="Hops">One for each certificate, the principal's first.</param>
/// <param name="Token">Of a token alone.</param>
/// <param name="Refusal">Why it is of no use now; null when nothing speaks against it but, maybe, who acts and what is wanted.</param>
public sealed record Inspection(
    string Kind, string Fingerprint, string? Namespace, ChainPrincipal? Principal, IReadOnlyList<ChainHop> Hops, TokenReceipt? Token, Refusal? Refusal);

/// <summary>In whose name a chain acts.</summary>
/// <param name="Capabilities">By name; null when only the scope's hash is known.</param>
public sealed record ChainPrincipal(string Did, IReadOnlyList<string>? Capabilities, string ScopeRoot);

/// <summary>One certificate: who lets whom do what.</summary>
/// <param name="Capabilities">By name; null when only the scope's hash is known.</param>
/// <param name="ExpiresAt">Null when no calendar has that day.</param>
/// <param name="MaxDepth">How long a chain with it may be in all.</param>
/// <param name="Used">Its nonce was consumed: no chain with it is authorized again.</param>
/// <param name="Extensions">What the signer added.</param>
public sealed record ChainHop(
    string From, string To, IReadOnlyList<string>? Capabilities, string ScopeRoot, DateTimeOffset? IssuedAt, DateTimeOffset? ExpiresAt, int MaxDepth,
    int Version, string Nonce, string Fingerprint, bool SignatureValid, bool Revoked, bool Used, JsonObject? Extensions);

/// <summary>What a token vouches for.</summary>
/// <param name="Intent">The hash of what was wanted.</param>
public sealed record TokenReceipt(ulong ChainDepth, string Intent, string VerifiedScopeRoot, DateTimeOffset? VerifiedAt);

/// <summary>A no in A1's words.</summary>
/// <param name="ErrorCode">A1's machine code, such as <c>CERT_EXPIRED</c>.</param>
/// <param name="DetailCode">The exact cause, such as <c>TemporalViolation</c>.</param>
public sealed record Refusal(string Error, string? ErrorCode, string? DetailCode);
