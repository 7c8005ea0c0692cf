using Microsoft.Extensions.Options;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>Catches up with swarms of other nodes whose events were missed (ASP §10.6, W-13), one after the other, behind the answers that noticed it.</summary>
internal sealed partial class ResyncLoop(
    Resyncs resyncs, AgentSwarmPeer peer, Rosters rosters, AgentDirectory directory, IOptions<AgentSwarmOptions> options, ILogger<ResyncLoop> log)
    : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (options.Value.Resync)
        {
            var (swarm, teller) = await resyncs.NextAsync(stoppingToken);
            try
            {
                if (await FindMemberAsync(swarm, stoppingToken) is { } agent && await resyncs.ClaimAsync(swarm, stoppingToken))
                {
                    var roster = await peer.SyncAsync(agent, swarm, teller, isThorough: false, stoppingToken);
                    CaughtUp(log, swarm, roster.Members.Count, roster.Master?.Name);
                }
            }
            catch (Exception e) when (e is SwarmException || DatabaseFailure.Is(e))
            {
                NotCaughtUp(log, swarm, e.Message);
            }
            catch (Exception e) when (e is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                Failed(log, e, swarm);
            }
        }
    }

    /// <summary>An agent of this node that can ask: one that the node signs for, if there is one.</summary>
    private async Task<AgentProfile?> FindMemberAsync(SwarmId swarm, CancellationToken cancellation) =>
        (await rosters.GetFreshAsync(swarm, cancellation))?.Members.Where(m => m.Kind != AgentKind.Remote).MinBy(m => m.Kind) is { } member
            ? await directory.FindAsync(member.Agent, cancellation)
            : null;

    [LoggerMessage(EventId = 2111, Level = LogLevel.Information, Message = "Swarm {Swarm} is known as it stands: {Members} members, master {Master}")]
    private static partial void CaughtUp(ILogger log, SwarmId swarm, int members, string? master);

    [LoggerMessage(EventId = 2112, Level = LogLevel.Information, Message = "Swarm {Swarm} seems to have changed, and how it stands could not be learnt: {Reason}")]
    private static partial void NotCaughtUp(ILogger log, SwarmId swarm, string reason);

    [LoggerMessage(EventId = 2113, Level = LogLevel.Error, Message = "Asking how swarm {Swarm} stands failed in a way that no rule foresees")]
    private static partial void Failed(ILogger log, Exception exception, SwarmId swarm);
}
