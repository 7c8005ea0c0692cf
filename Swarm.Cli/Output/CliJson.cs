using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Swarm.Cli.Profile;
using Swarm.Cli.Watch;
using Swarm.Client;
using Swarm.Client.Transport;

namespace Swarm.Cli.Output;

/// <summary>The Hub's own objects, shown to scripts as the Hub writes them; and the CLI's files.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true,
    Converters = [typeof(Rfc3339Converter)])]
[JsonSerializable(typeof(InboxMessage))]
[JsonSerializable(typeof(Agent))]
[JsonSerializable(typeof(AgentToken))]
[JsonSerializable(typeof(PingResult))]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(WakeSetup))]
[JsonSerializable(typeof(Inspection))]
[JsonSerializable(typeof(PassportEntry))]
[JsonSerializable(typeof(CapabilityMember))]
[JsonSerializable(typeof(GrantList))]
[JsonSerializable(typeof(Grant))]
[JsonSerializable(typeof(WatchPosition))]
[JsonSerializable(typeof(CliConfig))]
[JsonSerializable(typeof(CredentialFile))]
[JsonSerializable(typeof(NodeFile))]
internal sealed partial class CliJson : JsonSerializerContext
{
    public static JsonNode Node(InboxMessage message) => JsonSerializer.SerializeToNode(message, Default.InboxMessage)!;

    public static JsonNode Node(Agent agent) => JsonSerializer.SerializeToNode(agent, Default.Agent)!;

    public static JsonNode Node(PingResult ping) => JsonSerializer.SerializeToNode(ping, Default.PingResult)!;

    public static JsonNode Node(AgentToken token) => JsonSerializer.SerializeToNode(token, Default.AgentToken)!;

    public static JsonNode Node(WakeSetup setup) => JsonSerializer.SerializeToNode(setup, Default.WakeSetup)!;

    public static JsonNode Node(Inspection found) => JsonSerializer.SerializeToNode(found, Default.Inspection)!;

    public static JsonNode Node(PassportEntry passport) => JsonSerializer.SerializeToNode(passport, Default.PassportEntry)!;

    public static JsonNode Node(CapabilityMember member) => JsonSerializer.SerializeToNode(member, Default.CapabilityMember)!;

    public static JsonNode Node(GrantList grants) => JsonSerializer.SerializeToNode(grants, Default.GrantList)!;

    public static JsonNode Node(Grant grant) => JsonSerializer.SerializeToNode(grant, Default.Grant)!;

    public static JsonNode Node(NodeStatus status) => JsonSerializer.SerializeToNode(status, Default.NodeStatus)!;
}
