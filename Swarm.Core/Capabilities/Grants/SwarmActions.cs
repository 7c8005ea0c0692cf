namespace Swarm.Core.Capabilities.Grants;

/// <summary>What members do in a swarm, and what a swarm can demand a capability for. The numbers are those of <c>swarms.demands</c>.</summary>
[Flags]
public enum SwarmActions
{
    None = 0,

    /// <summary>To send messages. What the protocol says about members themselves (a leave, a new key) is no such message.</summary>
    Send = 1,

    /// <summary>To invite, where members may.</summary>
    Invite = 2,

    /// <summary>To wake whom a message is for.</summary>
    Wake = 4,
}

/// <summary>The names of actions: <c>send</c> in an API, <c>swarm.send</c> as the intent of a certificate.</summary>
public static class SwarmActionNames
{
    private const string Prefix = "swarm.";

    private static readonly (SwarmActions Action, string Name)[] Table =
        [(SwarmActions.Send, "send"), (SwarmActions.Invite, "invite"), (SwarmActions.Wake, "wake")];

    /// <summary>The capabilities of all actions.</summary>
    public static readonly IReadOnlyList<string> Capabilities = [.. Table.Select(t => Prefix + t.Name)];

    /// <summary>The short names, in one order.</summary>
    public static IReadOnlyList<string> Of(SwarmActions actions) => [.. Table.Where(t => actions.HasFlag(t.Action)).Select(t => t.Name)];

    public static IReadOnlyList<string> CapabilitiesOf(SwarmActions actions) => [.. Of(actions).Select(n => Prefix + n)];

    /// <summary>The capability that a text names: an action's short name means its capability, anything else itself.</summary>
    public static string ToCapability(string text) => Table.Any(t => t.Name == text) ? Prefix + text : text;

    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a name that is none.</exception>
    public static SwarmActions Parse(IEnumerable<string> names) =>
        names.Aggregate(SwarmActions.None, (all, name) => all | Table.FirstOrDefault(t => t.Name == name || Prefix + t.Name == name).Action switch
        {
            SwarmActions.None => throw new SwarmException(
                SwarmError.InvalidRequest, $"A swarm demands a capability for {string.Join(", ", Table.Select(t => t.Name))}."),
            var action => action,
        });

    /// <summary>The actions that capabilities stand for; other capabilities stand for none.</summary>
    internal static SwarmActions Among(IEnumerable<string> capabilities) =>
        capabilities.Aggregate(SwarmActions.None, (all, capability) => all | Table.FirstOrDefault(t => Prefix + t.Name == capability).Action);
}

/// <summary>What a member may do, and until when.</summary>
public readonly record struct MemberGrant(SwarmActions Actions, DateTimeOffset ExpiresAt);
