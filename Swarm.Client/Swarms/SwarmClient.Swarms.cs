using System.Runtime.CompilerServices;
using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>Creates a swarm with <see cref="NewSwarm.Agent"/> as master. Not repeated when the answer is lost.</summary>
    public Task<SwarmInfo> CreateSwarmAsync(NewSwarm swarm, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Post("swarms", swarm, HubJson.Wire.NewSwarm), HubJson.Wire.SwarmInfo, cancellation);

    /// <summary>The swarms of <paramref name="agent"/>, or, for an operator, of everybody when it is null.</summary>
    public async IAsyncEnumerable<SwarmInfo> ListSwarmsAsync(
        string? agent, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        string? cursor = null;
        do
        {
            var query = new QueryText().Add("agent", agent).Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
            var page = await hub.CallAsync(HubRequest.Get("swarms" + query), HubJson.Wire.SwarmPage, cancellation);
            foreach (var swarm in page.Swarms)
            {
                yield return swarm;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }

    /// <summary>The swarm with its members.</summary>
    public Task<SwarmInfo> GetSwarmAsync(Guid id, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Swarm(id)), HubJson.Wire.SwarmInfo, cancellation);

    /// <summary>The roster in the order of joining, fetched page by page.</summary>
    public async IAsyncEnumerable<Member> ListMembersAsync(Guid id, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        string? cursor = null;
        do
        {
            var query = new QueryText().Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
            var page = await hub.CallAsync(HubRequest.Get($"{Swarm(id)}/members{query}"), HubJson.Wire.MemberPage, cancellation);
            foreach (var member in page.Members)
            {
                yield return member;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }

    /// <summary>Makes an invitation. Not repeated when the answer is lost.</summary>
    /// <param name="expiresInHours">Null for one that does not expire.</param>
    /// <param name="maxUses">Null for one that is not limited.</param>
    public Task<Invite> CreateInviteAsync(
        Guid swarmId, string agent, int? expiresInHours = null, int? maxUses = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/invites", new NewInvite(agent, expiresInHours, maxUses), HubJson.Wire.NewInvite),
            HubJson.Wire.Invite,
            cancellation);

    /// <summary>Who waits to join; only the master may ask. Fetched page by page.</summary>
    public async IAsyncEnumerable<PendingJoin> ListPendingAsync(
        Guid swarmId, string agent, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        string? cursor = null;
        do
        {
            var query = new QueryText().Add("agent", agent).Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
            var page = await hub.CallAsync(HubRequest.Get($"{Swarm(swarmId)}/requests{query}"), HubJson.Wire.PendingPage, cancellation);
            foreach (var pending in page.Pending)
            {
                yield return pending;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }

    /// <summary>Lets <paramref name="applicant"/> in, or not; only the master may.</summary>
    public Task<DecisionResult> DecideAsync(
        Guid swarmId, string agent, string applicant, bool approve, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(
                $"{Swarm(swarmId)}/requests/{Uri.EscapeDataString(applicant)}/{(approve ? "approve" : "reject")}", new MasterOrder(agent), HubJson.Wire.MasterOrder),
            HubJson.Wire.DecisionResult, cancellation);

    /// <summary>Makes <paramref name="target"/> the master, if it accepts; only the master may.</summary>
    public Task<TransferResult> TransferAsync(Guid swarmId, string agent, string target, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/transfer", new TransferOrder(agent, target), HubJson.Wire.TransferOrder), HubJson.Wire.TransferResult, cancellation);

    /// <summary>Says whether the agent becomes the master when the master offers it, where its node asks its agents.</summary>
    public Task<AgreeResult> AgreeAsync(Guid swarmId, string agent, bool accept = true, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/agree", new AgreeOrder(agent, accept), HubJson.Wire.AgreeOrder) with { Idempotent = true },
            HubJson.Wire.AgreeResult, cancellation);

    /// <summary>Has the node ask the master on another node how the swarm stands, and take its roster over.</summary>
    public Task<JoinResult> SyncAsync(Guid swarmId, string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/sync", new MasterOrder(agent), HubJson.Wire.MasterOrder) with { Idempotent = true },
            HubJson.Wire.JoinResult, cancellation);

    /// <summary>Ends the swarm for everybody; only the master may.</summary>
    public Task<DissolveResult> DissolveAsync(Guid swarmId, string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/dissolve", new MasterOrder(agent), HubJson.Wire.MasterOrder), HubJson.Wire.DissolveResult, cancellation);

    public Task RevokeInviteAsync(Guid swarmId, string agent, string tokenHash, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Delete($"{Swarm(swarmId)}/invites/{Uri.EscapeDataString(tokenHash)}{new QueryText().Add("agent", agent)}"),
            cancellation);

    /// <summary>Joins a swarm with an invitation; a member that joins again stays one, so the call is repeated when it is safe.</summary>
    public Task<JoinResult> JoinAsync(string agent, string inviteToken, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post("join", new JoinOrder(agent, inviteToken), HubJson.Wire.JoinOrder) with { Idempotent = true },
            HubJson.Wire.JoinResult,
            cancellation);

    public Task<LeaveResult> LeaveAsync(Guid swarmId, string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/leave", new LeaveOrder(agent), HubJson.Wire.LeaveOrder), HubJson.Wire.LeaveResult,
            cancellation);

    /// <summary>Removes <paramref name="target"/>; only the master may. Once answered, no message of the kicked is accepted.</summary>
    public Task<KickResult> KickAsync(
        Guid swarmId, string agent, string target, string? reason = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/kick", new KickOrder(agent, target, reason), HubJson.Wire.KickOrder),
            HubJson.Wire.KickResult,
            cancellation);
}
