using System.Globalization;
using Microsoft.Extensions.Options;
using Swarm.Core.Messaging.Limits;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>
/// Limits by address, and the headers of ASP §7.3: <c>X-RateLimit-Limit</c> and <c>-Remaining</c> on every answer but 429, <c>-Reset</c> on every
/// answer. Of an accepted message they are its sender's budget, else the address's. Only refusals count against an address; where senders are
/// not verified (<c>Compatibility=Reference</c>), every call does.
/// </summary>
internal sealed class AgentSwarmBudgets(RateLimiter limits, ClientAddress clients, IOptions<AgentSwarmOptions> door)
{
    private const string LimitHeader = "X-RateLimit-Limit";
    private const string RemainingHeader = "X-RateLimit-Remaining";
    private const string ResetHeader = "X-RateLimit-Reset";

    private readonly bool _countsAll = door.Value.Compatibility == AgentSwarmCompatibility.Reference;

    /// <summary>Looks at the caller's address, and sees to the headers of the answer.</summary>
    /// <returns>The budget that is spent, or null to go on.</returns>
    public RateDecision? Enter(HttpContext context)
    {
        var key = clients.Of(context) is { } address ? RateKey.Address(address) : (RateKey?)null;
        var state = key is null ? limits.Full(RateScope.Address) : _countsAll ? limits.Take(key.Value) : limits.Peek(key.Value);
        context.Response.OnStarting(
            static entered =>
            {
                var (budgets, response, key, state) = ((AgentSwarmBudgets, HttpResponse, RateKey?, RateDecision))entered;
                budgets.Finish(response, key, state);
                return Task.CompletedTask;
            },
            (this, context.Response, key, state));
        return state.IsAllowed ? null : state;
    }

    /// <summary>Shows a budget on an answer.</summary>
    public static void Write(HttpResponse response, in RateDecision budget)
    {
        if (budget.ResetsAt == 0)
        {
            return; // Nothing was counted.
        }

        if (budget.Limit > 0)
        {
            response.Headers[LimitHeader] = budget.Limit.ToString(CultureInfo.InvariantCulture);
            response.Headers[RemainingHeader] = budget.Remaining.ToString(CultureInfo.InvariantCulture);
        }

        response.Headers[ResetHeader] = budget.ResetsAt.ToString(CultureInfo.InvariantCulture);
    }

    private void Finish(HttpResponse response, RateKey? key, RateDecision state)
    {
        if (response.StatusCode == StatusCodes.Status429TooManyRequests)
        {
            response.Headers[ResetHeader] = state.ResetsAt.ToString(CultureInfo.InvariantCulture);
            return;
        }

        if (key is { } address && !_countsAll && response.StatusCode is >= 400 and < 500)
        {
            state = limits.Take(address);
        }

        if (response.Headers[ResetHeader].Count == 0)
        {
            Write(response, state);
        }
    }
}
