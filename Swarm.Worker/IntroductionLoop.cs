using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;
using Swarm.Core.Swarms;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Worker;

/// <summary>
/// Fetches the keys of members that remote masters announced: <c>GET {endpoint}/info</c> (ASP §8.4, §10.5), through the guarded egress, so that no
/// announcement makes this node call what it may not (W-12). At once on a signal, and when the next try is due.
/// </summary>
internal sealed partial class IntroductionLoop(
    Introductions introductions, GuardedHttp http, LocalSignals signals, TimeProvider time, ILogger<IntroductionLoop> logger) : Loop(time, logger)
{
    /// <summary>Keys that are fetched at a time.</summary>
    public const int FetchesMax = 16;

    /// <summary>The largest answer that is read, in bytes.</summary>
    public const int AnswerBytesMax = 64 * 1024;

    /// <summary>The longest that one fetch may take (ASP §10.5).</summary>
    public static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(5);

    private readonly InboxSubscription _signal = signals.Subscribe(LocalSignals.Introductions);
    private TimeSpan _untilDue;

    protected override TimeSpan Interval => TimeSpan.FromSeconds(5);

    public override void Dispose()
    {
        _signal.Dispose();
        base.Dispose();
    }

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        var taken = await introductions.TakeAsync(FetchesMax, cancellation);
        await Task.WhenAll(taken.Select(i => FetchAsync(i, cancellation)));
        _untilDue = await introductions.NextDueAsync(cancellation) is { } due ? due - Time.GetUtcNow() : Interval;
        return taken.Count == FetchesMax;
    }

    protected override Task WaitAsync(TimeSpan limit, CancellationToken cancellation) =>
        _signal.WaitAsync(TimeSpan.FromMilliseconds(Math.Clamp(_untilDue.TotalMilliseconds, 1, limit.TotalMilliseconds)), Time, cancellation).AsTask();

    private async Task FetchAsync(Introduction introduction, CancellationToken cancellation)
    {
        var answer = await http.SendAsync(
            new(HttpMethod.Get, $"{introduction.Endpoint.TrimEnd('/')}/info")
            {
                Headers = AgentSwarmHeaders.Of(introduction.Listener), TimeMax = TimeMax, BodyBytesMax = AnswerBytesMax,
            },
            cancellation);
        if (answer.Status == 200 && TryRead(answer.Body, introduction.Name, out var key))
        {
            await introductions.CompleteAsync(introduction, key, cancellation);
            return;
        }

        var isGivenUp = await introductions.FailedAsync(introduction, Random.Shared.NextDouble(), cancellation);
        LogFailed(introduction.Name, introduction.SwarmId, answer.Status == 200 ? "Its answer is not that of this agent." : answer.Reason, isGivenUp);
    }

    /// <summary>The endpoint must be that of the announced agent, and show a whole key.</summary>
    internal static bool TryRead(ReadOnlyMemory<byte> body, string name, [NotNullWhen(true)] out PublicKey? key)
    {
        key = null;
        try
        {
            using var json = JsonDocument.Parse(body, new() { MaxDepth = 32 });
            return json.RootElement.GetProperty("agent_id").GetString() == name
                && PublicKeyText.TryParse(json.RootElement.GetProperty("public_key").GetString() ?? "", out key);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return false;
        }
    }

    [LoggerMessage(3104, LogLevel.Information, "The key of {Member}, announced to swarm {Swarm}, could not be fetched (given up: {IsGivenUp}): {Reason}")]
    private partial void LogFailed(string member, SwarmId swarm, string reason, bool isGivenUp);
}
