using Swarm.Core.Delivery;
using Swarm.Core.Messaging;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Worker.Push;

/// <summary>
/// Agent Swarm Protocol: <c>POST {endpoint}/message</c> with the bytes that were signed, and the headers that reference clients send
/// (ASP §7.1, §8.1). Every 2xx is a success; redirects are not followed.
/// </summary>
internal sealed class AgentSwarmCarrier(GuardedHttp http) : IPushCarrier
{
    /// <summary>The answer is <c>{"status":"queued",…}</c>; a peer that sends more than this has not understood.</summary>
    public const int AnswerBytesMax = 64 * 1024;

    public Protocol Protocol => Protocol.AgentSwarm;

    public string? DestinationOf(string endpoint) => EgressUrl.Parse(UrlOf(endpoint))?.Destination;

    public async Task<PushAnswer> PushAsync(PushItem item, TimeSpan timeMax, CancellationToken cancellation)
    {
        var answer = await http.SendAsync(
            new(HttpMethod.Post, UrlOf(item.Endpoint))
            {
                Headers = AgentSwarmHeaders.Of(item.Sender),
                Body = item.Wire,
                TimeMax = timeMax,
                BodyBytesMax = AnswerBytesMax,
            },
            cancellation);
        return new(answer.Status, ReasonOf(answer))
        {
            RetryAfter = answer.Headers.GetValueOrDefault("Retry-After"),
            IsForbidden = answer.Failure == EgressFailure.NotAllowed,
        };
    }

    private static string UrlOf(string endpoint) => endpoint.TrimEnd('/') + "/message";

    /// <summary>With the values of a rate limit, as reference clients tell them (ASP §14).</summary>
    private static string ReasonOf(EgressResponse answer) =>
        answer.Status != 429 ? answer.Reason
        : $"{answer.Reason}{Header(answer, "X-RateLimit-Limit", "limit")}{Header(answer, "X-RateLimit-Remaining", "remaining")}{Header(answer, "X-RateLimit-Reset", "reset")}";

    private static string Header(EgressResponse answer, string name, string word) =>
        answer.Headers.TryGetValue(name, out var value) && value.Length is > 0 and <= 20 && value.All(char.IsAsciiDigit) ? $", {word} {value}" : "";
}
