namespace Swarm.ServiceDefaults.Egress;

/// <summary>The headers that clients of the Agent Swarm Protocol send beside the content type (ASP §7.1).</summary>
public static class AgentSwarmHeaders
{
    /// <summary>The version of the protocol that is spoken.</summary>
    public const string ProtocolVersion = "0.1.0";

    private static readonly KeyValuePair<string, string> Accept = new("Accept", "*/*");
    private static readonly KeyValuePair<string, string> Version = new("X-Swarm-Protocol", ProtocolVersion);

    /// <param name="agent">The sender's text id. What is no header value is left out: receivers only log it.</param>
    public static IReadOnlyList<KeyValuePair<string, string>> Of(string agent) =>
        agent.Length > 0 && agent.All(c => c is > ' ' and <= '~') ? [Accept, new("X-Agent-ID", agent), Version] : [Accept, Version];
}
