using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>What a member's system message can do to a swarm (ASP §10.5, §10.6).</summary>
public enum LifecycleAction
{
    MemberJoined,
    MemberLeft,
    MemberKicked,

    /// <summary>To the kicked member itself.</summary>
    Kicked,

    /// <summary>The master's offer to make its receiver the master. It changes nothing by itself; its answer does.</summary>
    MasterTransfer,

    MasterChanged,
    SwarmDissolved,
    KeyRotated,
    EndpointChanged,
}

/// <summary>
/// A lifecycle event as the content of a system message claims it: read in every documented shape, believed in none.
/// <see cref="Plan"/> says what its sender may do by it.
/// </summary>
public sealed record LifecycleEvent
{
    /// <summary>The longest content that is looked at, in bytes of UTF-8; what is longer is an ordinary message.</summary>
    public const int ContentBytesMax = 64 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 32, AllowDuplicateProperties = false };

    public required LifecycleAction Action { get; init; }

    /// <summary>The member that the event is about; null where the shape leaves it out.</summary>
    public string? Agent { get; init; }

    public string? Endpoint { get; init; }

    /// <summary>32 bytes of a valid key, or null.</summary>
    public byte[]? PublicKey { get; init; }

    /// <summary>Null when it is absent or no time: one bad text must not poison a roster (W-05).</summary>
    public DateTimeOffset? JoinedAt { get; init; }

    public string? OldMaster { get; init; }

    public string? NewMaster { get; init; }

    /// <summary>What a master of this kind of node tells its successor; null from others.</summary>
    public SwarmSettings? Settings { get; init; }

    /// <summary>Only a master does this; another who does it may be the master since an event that this node missed.</summary>
    internal bool ActsAsMaster => Action is LifecycleAction.MemberJoined or LifecycleAction.MemberKicked or LifecycleAction.Kicked
        or LifecycleAction.MasterTransfer or LifecycleAction.MasterChanged or LifecycleAction.SwarmDissolved;

    /// <summary>Reads a system message's content; null when it is no lifecycle event, and so an ordinary message.</summary>
    public static LifecycleEvent? Read(ReadOnlyMemory<byte> content)
    {
        if (content.Length > ContentBytesMax || content.Span.IndexOf("\"action\""u8) < 0)
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(content, Strict);
            return document.RootElement is { ValueKind: JsonValueKind.Object } json ? Read(json) : null;
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            // The second comes from lone surrogates.
            return null;
        }
    }

    /// <summary>
    /// What the event does to this roster, by the rights of its sender (ASP §10.5); null when it does nothing, and the message is an ordinary one.
    /// </summary>
    /// <param name="roster">What is known of the swarm.</param>
    /// <param name="sender">A member, whose signature was verified.</param>
    /// <param name="recipient">To whom the message is addressed: a name or <c>broadcast</c>.</param>
    internal LifecycleChange? Plan(Roster roster, Member sender, string recipient)
    {
        var isMaster = sender.Agent == roster.MasterId;
        switch (Action)
        {
            // Where the master lives here, its own roster says who joined.
            case LifecycleAction.MemberJoined when isMaster && sender.Kind == AgentKind.Remote && IsOther(Agent, sender)
                && Endpoint is { } endpoint && Agents.IsValidEndpoint(endpoint):
                return new LifecycleChange.Admit(Agent!, endpoint, PublicKey, JoinedAt);
            case LifecycleAction.MemberLeft when !isMaster && (Agent ?? sender.Name) == sender.Name:
                return new LifecycleChange.Remove(sender.Name);
            case LifecycleAction.MemberKicked when isMaster && IsOther(Agent, sender):
                return new LifecycleChange.Remove(Agent!);
            case LifecycleAction.Kicked when isMaster && (Agent ?? recipient) == recipient && IsOther(recipient, sender):
                return new LifecycleChange.Remove(recipient);
            case LifecycleAction.MasterChanged when isMaster && OldMaster == sender.Name && IsOther(NewMaster, sender)
                && roster.Find(NewMaster!) is { } successor:
                return new LifecycleChange.Crown(successor);
            case LifecycleAction.SwarmDissolved when isMaster:
                return new LifecycleChange.Dissolve();

            case LifecycleAction.MasterTransfer when isMaster && sender.Kind == AgentKind.Remote && roster.Find(recipient) is { Kind: AgentKind.Hosted }
                && Settings is { } settings && settings != new SwarmSettings(roster.AllowMemberInvite, roster.RequireApproval):
                return new LifecycleChange.Configure(settings);

            // Keys and endpoints of this node's agents are changed through the Hub API.
            case LifecycleAction.KeyRotated when sender.Kind == AgentKind.Remote && Agent == sender.Name
                && PublicKey is { } key && !key.AsSpan().SequenceEqual(sender.RawKey):
                return new LifecycleChange.Rekey(sender, key);
            case LifecycleAction.EndpointChanged when sender.Kind == AgentKind.Remote && (Agent ?? sender.Name) == sender.Name
                && Endpoint is { } moved && moved != sender.Endpoint && Agents.IsValidEndpoint(moved):
                return new LifecycleChange.Move(sender, moved);
            default:
                return null;
        }
    }

    /// <summary>Whether the message is the current master's offer to <paramref name="to"/>, an agent for which the node can act as master.</summary>
    internal bool IsOfferTo(Member? to, Roster roster, Member sender, string recipient) =>
        Action == LifecycleAction.MasterTransfer && sender.Agent == roster.MasterId && to is { Kind: AgentKind.Hosted } && to != sender
        && recipient == to.Name && (NewMaster ?? to.Name) == to.Name;

    private static bool IsOther(string? name, Member sender) => name is not null && AgentName.IsValidForLocal(name) && name != sender.Name;

    private static LifecycleEvent? Read(JsonElement json)
    {
        LifecycleAction? action = Text(json, "action"u8) switch
        {
            "member_joined" => LifecycleAction.MemberJoined,
            "member_left" => LifecycleAction.MemberLeft,
            "member_kicked" => LifecycleAction.MemberKicked,
            "kicked" => LifecycleAction.Kicked,
            "master_transfer" => LifecycleAction.MasterTransfer,
            "master_changed" => LifecycleAction.MasterChanged,
            "swarm_dissolved" => LifecycleAction.SwarmDissolved,
            "key_rotated" => LifecycleAction.KeyRotated,
            "endpoint_changed" => LifecycleAction.EndpointChanged,
            _ => null,
        };
        if (action is not { } known)
        {
            return null;
        }

        // The second documented shape nests the member, or names it by "member" (ASP §10.6).
        var nested = json.TryGetProperty("member"u8, out var member) ? member : default;
        var at = nested.ValueKind == JsonValueKind.Object ? nested : json;
        return new()
        {
            Action = known,
            Agent = Text(at, "agent_id"u8) ?? (nested.ValueKind == JsonValueKind.String ? nested.GetString() : null),
            Endpoint = Text(at, "endpoint"u8) ?? Text(at, "new_endpoint"u8),
            PublicKey = Text(at, "public_key"u8) is { } key && PublicKeyText.TryParse(key, out var parsed)
                ? parsed.Export(KeyBlobFormat.RawPublicKey)
                : null,
            JoinedAt = Text(at, "joined_at"u8) is { } joined && AspTimestamp.TryParseAny(joined, out var joinedAt) ? joinedAt : null,
            OldMaster = Text(json, "old_master"u8),
            NewMaster = Text(json, "new_master"u8),
            Settings = json.TryGetProperty("settings"u8, out var settings) && settings.ValueKind == JsonValueKind.Object
                ? new(IsTrue(settings, "allow_member_invite"u8), IsTrue(settings, "require_approval"u8))
                : null,
        };
    }

    private static string? Text(JsonElement json, ReadOnlySpan<byte> name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool IsTrue(JsonElement json, ReadOnlySpan<byte> name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}

/// <summary>What an event that its sender had the right to does to the roster.</summary>
internal abstract record LifecycleChange
{
    /// <summary>The name whose events are ordered by their signed times; null for what concerns the whole swarm.</summary>
    public abstract string? Subject { get; }

    /// <summary>The number in <c>lifecycle_marks</c>.</summary>
    public short Kind => this switch { Admit => 1, Remove => 2, Rekey => 3, Move => 4, _ => 0 };

    /// <summary>A member that the master announced; without a key, it is fetched from the endpoint.</summary>
    public sealed record Admit(string Name, string Endpoint, byte[]? PublicKey, DateTimeOffset? JoinedAt) : LifecycleChange
    {
        public override string? Subject => Name;
    }

    public sealed record Remove(string Name) : LifecycleChange
    {
        public override string? Subject => Name;
    }

    public sealed record Crown(Member Successor) : LifecycleChange
    {
        public override string? Subject => null;
    }

    /// <summary>What the master decided about its swarm, as it tells its successor.</summary>
    public sealed record Configure(SwarmSettings Settings) : LifecycleChange
    {
        public override string? Subject => null;
    }

    public sealed record Dissolve : LifecycleChange
    {
        public override string? Subject => null;
    }

    public sealed record Rekey(Member Of, byte[] PublicKey) : LifecycleChange
    {
        public override string? Subject => Of.Name;
    }

    public sealed record Move(Member Of, string Endpoint) : LifecycleChange
    {
        public override string? Subject => Of.Name;
    }
}
