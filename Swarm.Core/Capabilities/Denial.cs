namespace Swarm.Core.Capabilities;

/// <summary>Why A1 says no: the variants of A1 §9 by their names, which are also the <c>detail_code</c> of an answer (A1 §20).</summary>
public enum DenialKind
{
    PolicyViolation,
    EmptyChain,
    RootMismatch,
    MaxDepthExceeded,
    BrokenLinkage,
    UnsupportedVersion,
    NotYetValid,
    Expired,
    TemporalViolation,
    NonceReplay,
    ScopeEscalation,
    UnauthorizedLeaf,
    InvalidSignature,
    ScopeViolation,
    Revoked,
    StorageFailure,
    WireFormatError,
    EmptyTree,
    IntentNotFound,
    PassportNarrowingViolation,
    MacVerificationFailed,
    BatchItemFailed,
}

/// <summary>A refusal in A1's own words. Texts are A1's, because some clients match on them (A1 §9).</summary>
/// <param name="Kind">The variant.</param>
/// <param name="Text">The <c>error</c> member of an answer; holds no secret.</param>
public sealed record Denial(DenialKind Kind, string Text)
{
    /// <summary>Of an item of a batch: what it was denied for. Else null.</summary>
    public Denial? Cause { get; private init; }

    /// <summary>The storage may answer if it is asked again: 503, not 403 (A1 §14.3).</summary>
    public bool IsTransient { get; private init; }

    /// <summary>The machine code, <c>error_code</c>. Six variants share <c>AUTHORIZATION_FAILED</c>; see <see cref="DetailCode"/>.</summary>
    public string Code => Kind switch
    {
        DenialKind.PolicyViolation => "POLICY_VIOLATION",
        DenialKind.MaxDepthExceeded => "CHAIN_DEPTH_EXCEEDED",
        DenialKind.BrokenLinkage => "CHAIN_BROKEN_LINKAGE",
        DenialKind.Expired => "CERT_EXPIRED",
        DenialKind.NonceReplay => "NONCE_REPLAY",
        DenialKind.ScopeEscalation => "SCOPE_ESCALATION",
        DenialKind.InvalidSignature => "INVALID_SIGNATURE",
        DenialKind.ScopeViolation => "SCOPE_VIOLATION",
        DenialKind.Revoked => "CERT_REVOKED",
        DenialKind.StorageFailure => "STORAGE_ERROR",
        DenialKind.PassportNarrowingViolation => "PASSPORT_NARROWING_VIOLATION",
        DenialKind.MacVerificationFailed => "MAC_VERIFICATION_FAILED",
        DenialKind.BatchItemFailed => "BATCH_ITEM_FAILED",
        _ => "AUTHORIZATION_FAILED",
    };

    /// <summary>The exact cause by its variant's name (A1 §20).</summary>
    public string DetailCode => (Cause ?? this).Kind.ToString();

    public static readonly Denial EmptyChain = new(DenialKind.EmptyChain, "delegation chain is empty");
    public static readonly Denial RootMismatch = new(DenialKind.RootMismatch, "chain does not anchor to the declared principal");
    public static readonly Denial NonceReplay = new(DenialKind.NonceReplay, "nonce has already been consumed");
    public static readonly Denial UnauthorizedLeaf = new(DenialKind.UnauthorizedLeaf, "executing agent is not the terminal delegate");
    public static readonly Denial ScopeViolation = new(DenialKind.ScopeViolation, "execution intent is not within the terminal scope");
    public static readonly Denial Revoked = new(DenialKind.Revoked, "delegation certificate has been revoked");
    public static readonly Denial EmptyTree = new(DenialKind.EmptyTree, "intent tree requires at least one intent");
    public static readonly Denial IntentNotFound = new(DenialKind.IntentNotFound, "intent is not present in this tree");
    public static readonly Denial MacVerificationFailed = new(DenialKind.MacVerificationFailed, "MAC verification failed");

    public static readonly Denial PassportNarrowingViolation = new(
        DenialKind.PassportNarrowingViolation, "passport capability narrowing violation: requested scope exceeds granted passport capabilities");

    public static readonly Denial UntrustedPrincipal = PolicyViolation("principal public key is not in the trusted set");

    public static Denial PolicyViolation(string reason) => new(DenialKind.PolicyViolation, $"policy violation: {reason}");

    public static Denial MaxDepthExceeded(int hop, int limit) =>
        new(DenialKind.MaxDepthExceeded, $"depth limit exceeded at hop {hop} (limit={limit})");

    public static Denial BrokenLinkage(int hop) => new(DenialKind.BrokenLinkage, $"delegation linkage broken at hop {hop}");

    public static Denial UnsupportedVersion(uint version) =>
        new(DenialKind.UnsupportedVersion, $"unsupported certificate version: expected 1, got {version}");

    public static Denial NotYetValid(int hop, ulong issuedAt, ulong now) =>
        new(DenialKind.NotYetValid, $"delegation at hop {hop} not yet valid (issued_at={issuedAt}, now={now})");

    public static Denial Expired(int hop, ulong expiry, ulong now) =>
        new(DenialKind.Expired, $"delegation at hop {hop} has expired (expiry={expiry}, now={now})");

    /// <summary>Beyond A1 (A1 §20): the principal's passport, which is in no chain, has expired.</summary>
    public static Denial PassportExpired(ulong expiry, ulong now) =>
        new(DenialKind.Expired, $"the principal's passport has expired (expiry={expiry}, now={now})");

    public static Denial TemporalViolation(int hop, ulong child, ulong parent) =>
        new(DenialKind.TemporalViolation, $"temporal violation at hop {hop}: child expiry {child} exceeds parent expiry {parent}");

    public static Denial ScopeEscalation(int hop) =>
        new(DenialKind.ScopeEscalation, $"scope escalation at hop {hop}: delegated scope is not within the delegator's authorization");

    public static Denial InvalidSignature(int hop) => new(DenialKind.InvalidSignature, $"invalid signature at hop {hop}");

    public static Denial WireFormat(string reason) => new(DenialKind.WireFormatError, $"wire format error: {reason}");

    /// <param name="reason">What to tell the caller; never a connection string or an address.</param>
    /// <param name="isTransient">Asking again may help.</param>
    public static Denial Storage(string reason, bool isTransient) =>
        new(DenialKind.StorageFailure, $"storage backend failure: {(isTransient ? "transient" : "permanent")} storage error: {reason}") { IsTransient = isTransient };

    /// <summary>Of the item with this index in its batch (A1 §9.1).</summary>
    public static Denial BatchItem(int index, Denial cause) =>
        new(DenialKind.BatchItemFailed, $"batch authorization failed at index {index}: {cause.Text}") { Cause = cause };
}

/// <summary>A refusal outside the hot path: a malformed intent, a scope wider than its passport. Nothing was changed when it is thrown.</summary>
public sealed class DenialException(Denial denial) : Exception(denial.Text)
{
    public Denial Denial => denial;
}

/// <summary>
/// JSON of another shape than A1's, with the place and what it must be; A1 answers 422 (A1 §7.1, §14.1). The text quotes nothing of the input.
/// </summary>
public sealed class ShapeException(string message) : Exception(message);
