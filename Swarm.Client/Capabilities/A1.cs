using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Swarm.Client;

/// <summary>A passport that was just issued or renewed (A1 §14.5).</summary>
/// <param name="Path">The name of its file at the node.</param>
/// <param name="PublicKeyHex">The holder's key.</param>
/// <param name="ExpiresAt">A text for people.</param>
public sealed record IssuedPassport(
    string Namespace, string Path, string PublicKeyHex, IReadOnlyList<string> Capabilities, long TtlSeconds, string ExpiresAt);

/// <summary>A passport of the node's.</summary>
/// <param name="ExpirationUnix">Unix seconds.</param>
/// <param name="Status"><c>valid</c> or <c>expired</c>.</param>
public sealed record PassportEntry(
    string Filename, string Namespace, IReadOnlyList<string> Capabilities, ulong ExpirationUnix, string Status, string FingerprintHex, ulong DaysRemaining);

/// <summary>A certificate of the gateway's to order (A1 §14.4).</summary>
public sealed record CertificateOrder
{
    /// <summary>Whom it is for, 64 hex digits.</summary>
    public required string DelegatePkHex { get; init; }

    public required IReadOnlyList<WantedIntent> Intents { get; init; }

    /// <summary>Null for an hour.</summary>
    public long? TtlSeconds { get; init; }

    /// <summary>How long a chain with it may be in all; null for 16.</summary>
    public int? MaxDepth { get; init; }

    /// <summary>Texts, whole numbers from 0, and lists of texts.</summary>
    public JsonObject? Extensions { get; init; }
}

/// <summary>Something that may be wanted; a capability is one without parameters (A1 §2).</summary>
public sealed record WantedIntent(string Name, IReadOnlyDictionary<string, string>? Params = null);

/// <summary>A certificate, with what names it and its scope.</summary>
public sealed record IssuedCertificate(JsonObject Cert, string FingerprintHex, string ScopeRootHex);

/// <param name="RevokedCount">Those revoked before are counted too.</param>
/// <param name="Failed">Texts that are no fingerprints.</param>
public sealed record RevokedCertificates(int RevokedCount, IReadOnlyList<string> Failed);

/// <summary>What a token is worth.</summary>
/// <param name="VerifiedAtUnix">When the gateway vouched for it, in Unix seconds: its reader decides how old is too old.</param>
/// <param name="Error">Why it is not valid; null when it is.</param>
public sealed record TokenCheck(bool Valid, ulong? ChainDepth, string? ChainFingerprint, ulong? VerifiedAtUnix, string? Error);

/// <summary>May the executor do this, with this chain? (A1 §14.3)</summary>
public sealed record AuthorizationOrder
{
    public required JsonObject Chain { get; init; }

    public required string IntentName { get; init; }

    public IReadOnlyDictionary<string, string>? IntentParams { get; init; }

    /// <summary>Who acts, 64 hex digits; whoever asks has made sure of it.</summary>
    public required string ExecutorPkHex { get; init; }

    /// <summary>With one, the same request is answered as before, instead of as a replay; so it is tried again when its answer is lost.</summary>
    public string? RequestId { get; init; }

    /// <summary>Whether the answer holds a token for others.</summary>
    public bool ReturnToken { get; init; }
}

/// <summary>The answer: a chain is authorized once.</summary>
/// <param name="Refusal">Null when authorized.</param>
/// <param name="Token">If one was wanted.</param>
public sealed record Authorization(
    bool Authorized, ulong? ChainDepth, string? ChainFingerprint, ulong? VerifiedAtUnix, JsonObject? Receipt, JsonObject? Token)
{
    [JsonIgnore]
    public Refusal? Refusal { get; init; }
}

/// <summary>A swarm of A1's (A1 §14.2).</summary>
public sealed record CapabilitySwarm(string SwarmId, string SwarmName);

/// <summary>A member of it.</summary>
/// <param name="LastSeenUnix">Its last heartbeat; null before the first.</param>
public sealed record CapabilityMember(
    string AgentDid, string AgentPkHex, JsonNode Role, ulong IssuedAtUnix, ulong ExpiresAtUnix, string? CertFingerprintHex, IReadOnlyList<string>? Capabilities,
    string? Status, ulong? LastSeenUnix)
{
    /// <summary>In lower case; a custom role's own name.</summary>
    [JsonIgnore]
    public string RoleName => Role switch
    {
        JsonObject listed => listed.First() is ("Custom", JsonObject custom) ? (string?)custom["name"] ?? "custom" : listed.First().Key.ToLowerInvariant(),
        _ => Role.GetValue<string>().ToLowerInvariant(),
    };
}

/// <summary>A new member, with the chain of its first certificate; null for a role without capabilities.</summary>
public sealed record CapabilityMemberAdded(CapabilityMember Member, JsonObject? Chain);

/// <summary>A passport's order (A1 §14.5).</summary>
/// <param name="Ttl"><c>30d</c>, <c>12h</c>, <c>90m</c>, <c>1y</c>, or seconds.</param>
/// <param name="SigningKeyHex">The holder's private key; null for one that the node makes and keeps. Only over TLS or loopback.</param>
public sealed record PassportOrder(string Namespace, IReadOnlyList<string> Capabilities, string Ttl, string? SigningKeyHex = null);

/// <param name="SigningKeyHex">The owner's private key; null for one that the node makes and keeps. Only over TLS or loopback.</param>
public sealed record CapabilitySwarmOrder(string SwarmName, IReadOnlyList<string> Capabilities, int? TtlDays = null, string? SigningKeyHex = null);

/// <param name="AgentPkHex">64 hex digits.</param>
/// <param name="Role"><c>orchestrator</c>, <c>supervisor</c>, <c>worker</c> or <c>auditor</c>.</param>
/// <param name="SigningKeyHex">The owner's private key, where the node does not keep it. Only over TLS or loopback.</param>
public sealed record CapabilityMemberOrder(
    string SwarmId, string AgentPkHex, string Role, IReadOnlyList<string> Capabilities, long? TtlSeconds = null, string? SigningKeyHex = null);

internal sealed record RenewalOrder(string Namespace, string Ttl, string? SigningKeyHex);

internal sealed record PassportAnswer(
    bool Success, string Namespace, string Path, string PublicKeyHex, IReadOnlyList<string> Capabilities, long TtlSeconds, string ExpiresAt, string? Error,
    string? DetailCode);

internal sealed record PassportPage(IReadOnlyList<PassportEntry> Passports);

internal sealed record PassportRevocation(string Namespace);

internal sealed record PassportRevoked(bool Success, string FingerprintHex, string? Error, string? DetailCode);

internal sealed record PassportChainOrder(string AgentPkHex, IReadOnlyList<string> Capabilities, string Namespace, long? TtlSeconds, string? SigningKeyHex);

internal sealed record RevocationOrder(IReadOnlyList<string> Fingerprints);

internal sealed record RevocationState(bool Revoked);

internal sealed record TokenOrder(JsonObject Token);

internal sealed record CapabilityMembers(IReadOnlyList<CapabilityMember> Members);

internal sealed record CapabilityChainOrder(string SwarmId, string AgentPkHex, long? TtlSeconds, string? SigningKeyHex);

internal sealed record CapabilityMemberName(string SwarmId, string AgentDid);

internal sealed record CapabilitySwarmName(string SwarmId);

internal sealed record CapabilityHeartbeat(ulong LastSeenUnix);
