namespace Swarm.Core;

/// <summary>
/// The one catalogue of errors. <see cref="Id"/> is stable and never changes its meaning; each door gives it the face of its
/// own protocol (a status, a code, a shape) in its <c>XxxErrors.cs</c>.
/// </summary>
/// <param name="Id">Stable kebab-case id; the last segment of the Hub API's problem <c>type</c>.</param>
/// <param name="Meaning">What went wrong, in one sentence, safe to show to anybody.</param>
public sealed record SwarmError(string Id, string Meaning)
{
    // Shape and limits
    public static readonly SwarmError InvalidRequest = new("invalid-request", "The request is malformed.");
    public static readonly SwarmError BodyTooLarge = new("body-too-large", "The request body is larger than this door accepts.");
    public static readonly SwarmError ContentTooLong = new("content-too-long", "The message content is longer than this door accepts.");
    public static readonly SwarmError InvalidTimestamp = new("invalid-timestamp", "The timestamp is unreadable, too old, or too far ahead.");
    public static readonly SwarmError InvalidSchedule = new("invalid-schedule", "A message can be scheduled at most 5 days ahead, and before it expires.");
    public static readonly SwarmError InvalidName = new("invalid-name", "The name does not follow the grammar, or is reserved.");
    public static readonly SwarmError InvalidKey = new("invalid-key", "The public key is not 32 bytes of a valid Ed25519 key.");
    public static readonly SwarmError UnsupportedVersion = new("unsupported-version", "The file is of a version that this release does not read.");
    public static readonly SwarmError LimitReached = new("limit-reached", "A limit of this node is reached.");

    // Who asks, and what it may do
    public static readonly SwarmError Unauthenticated = new("unauthenticated", "A valid token is needed.");
    public static readonly SwarmError Forbidden = new("forbidden", "This token does not allow that.");
    public static readonly SwarmError UnknownAgent = new("unknown-agent", "There is no such agent here.");
    public static readonly SwarmError NameTaken = new("name-taken", "An agent of that name exists already.");
    public static readonly SwarmError CapabilityRequired =
        new("capability-required", "The swarm demands a capability for that, and this member has none that is valid now. Its master grants it.");
    public static readonly SwarmError UnknownGrant = new("unknown-grant", "The member has no such grant.");
    public static readonly SwarmError KeyNotHeld = new("key-not-held", "The node does not hold this agent's key; send a signed message.");

    // Swarms
    public static readonly SwarmError UnknownSwarm = new("unknown-swarm", "There is no such swarm here.");
    public static readonly SwarmError SwarmExists = new("swarm-exists", "A swarm with that id exists already.");
    public static readonly SwarmError NotAMember = new("not-a-member", "The agent is not a member of the swarm.");
    public static readonly SwarmError NotMaster = new("not-master", "Only the master of the swarm may do that.");
    public static readonly SwarmError MasterMayNotLeave = new("master-may-not-leave", "The master cannot leave its swarm.");
    public static readonly SwarmError MayNotKickOneself = new("may-not-kick-oneself", "A member cannot kick itself.");
    public static readonly SwarmError AlreadyMember = new("already-member", "Another agent of that name is a member of the swarm.");
    public static readonly SwarmError RemoteMaster = new("remote-master", "The master of that swarm lives on another node.");

    public static readonly SwarmError UnknownRequest = new("unknown-request", "Nobody of that name waits to join the swarm.");
    public static readonly SwarmError JoinRejected = new("join-rejected", "The swarm's master rejected the request to join.");
    public static readonly SwarmError TransferDeclined = new("transfer-declined", "The member did not accept to become the master.");

    // Invites
    public static readonly SwarmError InvalidToken = new("invalid-token", "The invite token is malformed.");
    public static readonly SwarmError TokenSignature = new("token-signature", "The invite token's signature does not verify.");
    public static readonly SwarmError TokenExpired = new("token-expired", "The invite token has expired.");
    public static readonly SwarmError TokenExhausted = new("token-exhausted", "The invite token has been used as often as it allows.");
    public static readonly SwarmError TokenRevoked = new("token-revoked", "The invite token has been revoked.");

    // Messages
    public static readonly SwarmError InvalidSignature = new("invalid-signature", "The signature does not verify.");
    public static readonly SwarmError WrongRecipient = new("wrong-recipient", "The message is not addressed to this agent.");
    public static readonly SwarmError MessageIdReused = new("message-id-reused", "The sender used this message id for another message.");
    public static readonly SwarmError LeaseLost = new("lease-lost", "The lease is unknown, or has run out.");

    public static readonly SwarmError UnknownMessage = new("unknown-message", "There is no such message in this inbox.");
    public static readonly SwarmError WrongStatus = new("wrong-status", "The message's status does not allow that.");
    public static readonly SwarmError UnknownDeadLetter = new("unknown-dead-letter", "There is no such dead letter.");
    public static readonly SwarmError PeerUnreachable = new("peer-unreachable", "The node of that swarm's master could not be reached, or gave no usable answer.");
    public static readonly SwarmError PeerRefused = new("peer-refused", "The node of that swarm's master refused.");

    // The node
    public static readonly SwarmError RateLimited = new("rate-limited", "Too many requests.");
    public static readonly SwarmError TooBusy = new("too-busy", "The node is too busy; try again.");
    public static readonly SwarmError NotReady = new("not-ready", "This node is still learning who is in that swarm; try again.");
    public static readonly SwarmError Unavailable = new("unavailable", "The node cannot reach its database; try again.");
}

/// <summary>A refusal outside the hot path. Doors render it; nothing was changed when it is thrown.</summary>
public sealed class SwarmException : Exception
{
    public SwarmException(SwarmError error, string? message = null, string? reason = null)
        : base(message ?? error.Meaning)
    {
        Error = error;
        Reason = reason;
    }

    public SwarmError Error { get; }

    /// <summary>A machine-readable word that refines the error (ASP §6.3: <c>max_uses_exceeded</c>, <c>token_revoked</c>), or null.</summary>
    public string? Reason { get; }
}
