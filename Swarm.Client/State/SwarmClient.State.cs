using System.Text.Json.Nodes;
using Swarm.Client.Transport;

namespace Swarm.Client;

/// <summary>What an import brought.</summary>
/// <param name="Skipped">Swarms of the file in which the agent, or the master, is no member any more.</param>
public sealed record ImportResult(
    string SchemaVersion, int Swarms, int PublicKeys, int MutedAgents, int MutedSwarms, int Inbox, int Outbox, IReadOnlyList<string>? Skipped);

public sealed partial class SwarmClient
{
    /// <summary>How long an export or import may take.</summary>
    private static readonly TimeSpan StateTimeMax = TimeSpan.FromMinutes(10);

    /// <summary>What the agent may take to another installation (ASP §13): no private key.</summary>
    /// <param name="withOutbox">False leaves the outbox empty, for a reference installation: it fails on a filled one.</param>
    public Task<JsonObject> ExportAsync(string agent, bool withOutbox = true, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Get($"{Agent(agent)}/export{(withOutbox ? "" : "?outbox=false")}") with { ExtraTime = StateTimeMax }, HubJson.Wire.JsonObject, cancellation);

    /// <summary>Gives the agent what another installation exported, all or nothing; operators with the role admin only.</summary>
    /// <param name="state">The file's JSON, UTF-8, at most 32 MiB.</param>
    /// <param name="merge">False: what the agent has here goes first.</param>
    public Task<ImportResult> ImportAsync(string agent, byte[] state, bool merge, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.PostNothing($"{Agent(agent)}/import?merge={(merge ? "true" : "false")}") with { Body = state, ExtraTime = StateTimeMax },
            HubJson.Wire.ImportResult, cancellation);
}
