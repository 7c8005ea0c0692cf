using System.Runtime.CompilerServices;
using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>Creates an agent; operators with the role admin only. Not repeated when the answer is lost.</summary>
    public Task<CreatedAgent> CreateAgentAsync(NewAgent agent, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Post("agents", agent, HubJson.Wire.NewAgent), HubJson.Wire.CreatedAgent, cancellation);

    /// <summary>Every agent of the node, fetched page by page.</summary>
    public async IAsyncEnumerable<Agent> ListAgentsAsync([EnumeratorCancellation] CancellationToken cancellation = default)
    {
        string? cursor = null;
        do
        {
            var query = new QueryText().Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
            var page = await hub.CallAsync(HubRequest.Get("agents" + query), HubJson.Wire.AgentPage, cancellation);
            foreach (var agent in page.Agents)
            {
                yield return agent;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }

    public Task<Agent> GetAgentAsync(string name, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Agent(name)), HubJson.Wire.Agent, cancellation);

    /// <summary>Asks whether an agent is there.</summary>
    /// <param name="target">The id of an agent of this node, of a member of one of <paramref name="agent"/>'s swarms, or the https address of an agent.</param>
    /// <param name="agent">Who asks; null for an operator.</param>
    public Task<PingResult> PingAsync(string target, string? agent = null, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Post("ping", new PingOrder(agent, target), HubJson.Wire.PingOrder), HubJson.Wire.PingResult, cancellation);

    /// <summary>Ends the agent's keys, tokens and memberships, for good.</summary>
    public Task RevokeAgentAsync(string name, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Delete(Agent(name)), cancellation);

    /// <summary>A further token for the agent. Not repeated when the answer is lost.</summary>
    public Task<CreatedToken> CreateTokenAsync(string name, string? label = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Agent(name) + "/tokens", new NewToken(label), HubJson.Wire.NewToken), HubJson.Wire.CreatedToken, cancellation);

    public async Task<IReadOnlyList<AgentToken>> ListTokensAsync(string name, CancellationToken cancellation = default) =>
        (await hub.CallAsync(HubRequest.Get(Agent(name) + "/tokens"), HubJson.Wire.TokenList, cancellation)).Tokens;

    public Task RevokeTokenAsync(string name, long tokenId, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Delete($"{Agent(name)}/tokens/{tokenId}"), cancellation);
}
