namespace Swarm.Tests.Conformance;

/// <summary>A feature of the protocol's checklist (ASP §22) that this node promises, in our words.</summary>
/// <param name="Level">W wire, L local parity, H hardened.</param>
internal sealed record Feature(string Id, string What, char Level);

internal static class ConformanceFeatures
{
    /// <summary>What must have a test; the other features come with later parts of the node.</summary>
    public static readonly IReadOnlyList<Feature> AgentSwarm =
    [
        new("ASP-01", "The seed file: 32 raw bytes, mode 0600, loaded and created", 'W'),
        new("ASP-02", "Public keys as base64 of 32 raw bytes, everything else refused", 'W'),
        new("ASP-05", "The signed bytes, their digest, the signature", 'W'),
        new("ASP-06", "Timestamps with three digits, truncated, in UTC", 'W'),
        new("ASP-07", "Text is signed as it is; lone surrogates are refused", 'W'),
        new("ASP-08", "An empty content verifies", 'W'),
        new("ASP-09", "Every tampering is refused", 'W'),
        new("ASP-10", "Members that the signature leaves out do not disturb it", 'W'),
        new("ASP-11", "A text shifted between fields is refused", 'H'),
        new("ASP-12", "The message: members, words, nulls, unknown members", 'W'),
        new("ASP-13", "Attachments, references and metadata arrive unchanged", 'W'),
        new("ASP-14", "Reply, thread, priority and expiry arrive unchanged", 'W'),
        new("ASP-15", "The builder refuses a message without recipient, swarm or content", 'L'),
        new("ASP-20", "Invites are made byte for byte", 'W'),
        new("ASP-21", "Invites are read by the joiner, with every error", 'W'),
        new("ASP-22", "Invites are checked by the master, in order", 'W'),
        new("ASP-23", "Uses of an invite are counted", 'H'),
        new("ASP-24", "Invites are revoked", 'H'),
        new("ASP-25", "Invites by members, where the swarm allows them", 'H'),
        new("ASP-26", "A message is answered with its id as it was sent", 'W'),
        new("ASP-27", "The same message again changes nothing", 'W'),
        new("ASP-28", "Nobody can take another sender's message id", 'H'),
        new("ASP-29", "Wrong shapes are listed with place and kind", 'W'),
        new("ASP-30", "Signature, membership and recipient are enforced", 'H'),
        new("ASP-31", "A new member joins", 'W'),
        new("ASP-32", "Joining again changes nothing", 'W'),
        new("ASP-33", "A join that waits for approval", 'W'),
        new("ASP-36", "The health of an agent", 'W'),
        new("ASP-37", "What is public about an agent", 'W'),
        new("ASP-38", "Errors as objects with a code", 'W'),
        new("ASP-39", "A rate limit, its headers and its refusal", 'W'),
        new("ASP-40", "Delays in whole seconds, the reset time, limits by verified sender, bounded memory", 'H'),
        new("ASP-41", "No X- header is required", 'W'),
        new("ASP-42", "Limits of body, content and nesting", 'H'),
        new("ASP-43", "The time window, and the memory of ids", 'H'),
    ];
}
