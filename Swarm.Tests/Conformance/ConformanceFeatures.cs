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
        new("ASP-17", "The stored text of a message is TOON, byte for byte", 'L'),
        new("ASP-18", "Stored JSON is shown as TOON", 'L'),
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
        new("ASP-41", "No X- header is required", 'W'),
        new("ASP-42", "Limits of body, content and nesting", 'H'),
        new("ASP-43", "The time window, and the memory of ids", 'H'),
        new("ASP-65", "The inbox list with its filters and limits", 'L'),
        new("ASP-66", "The inbox counts", 'L'),
        new("ASP-67", "One message, which is read by looking at it", 'L'),
        new("ASP-68", "Read, archive, delete, each from where it may", 'L'),
        new("ASP-69", "The same for 1 to 100 messages at once", 'L'),
        new("ASP-70", "The outbox list and counts", 'L'),
        new("ASP-71", "The local endpoints ask for a token", 'H'),
        new("ASP-72", "Lists go on beyond 100 rows", 'H'),
        new("ASP-73", "Agents and swarms are muted and unmuted, with a reason; the muted wake nobody", 'L'),
        new("ASP-74", "The muted are answered as before, and reach nobody who muted them", 'H'),
        new("ASP-75", "A wake is posted after the accept; its failures harm nobody", 'L'),
        new("ASP-76", "The level of a wake, by every condition and the quiet hours", 'L'),
        new("ASP-77", "Priority and direct address count; preferences are settings", 'H'),
        new("ASP-78", "The wake endpoint: invoked, already active, wrong secret, wrong body, off", 'L'),
        new("ASP-79", "Invocation by nothing or by tmux, one at a time", 'L'),
        new("ASP-80", "Wakes are gathered, carry the secret, and type nothing that a sender chose", 'H'),
        new("ASP-81", "The session file: its states, and when to resume", 'L'),
        new("ASP-82", "One session for each swarm and peer, until it is silent too long", 'L'),
        new("ASP-83", "What helps an agent: context of a message, answers", 'L'),
        new("ASP-108", "Crafted input never makes a 500", 'H'),
    ];
}
