using System.Diagnostics.Metrics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Worker;

/// <summary>
/// Wakes agents (ASP §11): looks when a signal says that an inbox of theirs has news, when a window or pause ends, and every few seconds
/// as the net. Each call runs beside the loop, so that a slow one holds up nobody; its outcome is settled in the database.
/// </summary>
internal sealed class WakeLoop(
    WakeQueue queue, WakeCaller caller, LocalSignals signals, ControlEvents control, TimeProvider time, ILogger<WakeLoop> logger) : Loop(time, logger)
{
    /// <summary>The most calls of this Worker at a time.</summary>
    public const int CallsMax = 64;

    /// <summary>How often whom to listen for is read without a reason.</summary>
    private static readonly TimeSpan ReadAgents = TimeSpan.FromSeconds(30);

    private readonly InboxSubscriptions _signal = signals.SubscribeMany();
    private readonly SemaphoreSlim _places = new(CallsMax);
    private readonly CancellationTokenSource _stopping = new();
    private bool _agentsChanged = true;
    private long _agentsReadAt;
    private TimeSpan _untilDue;

    protected override TimeSpan Interval => TimeSpan.FromSeconds(5);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        control.Changed += OnChanged;
        control.Missed += OnMissed;
        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        control.Changed -= OnChanged;
        control.Missed -= OnMissed;
        await _stopping.CancelAsync();
        await base.StopAsync(cancellationToken);
        for (var i = 0; i < CallsMax && !cancellationToken.IsCancellationRequested; i++)
        {
            await _places.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public override void Dispose()
    {
        _signal.Dispose();
        _stopping.Dispose();
        _places.Dispose();
        base.Dispose();
    }

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        if (Volatile.Read(ref _agentsChanged) || Time.GetElapsedTime(_agentsReadAt) > ReadAgents)
        {
            Volatile.Write(ref _agentsChanged, false);
            _agentsReadAt = Time.GetTimestamp();
            _signal.Follow(await queue.AgentsAsync(cancellation));
        }

        var free = _places.CurrentCount;
        if (free == 0)
        {
            // The end of a call wakes the loop.
            _untilDue = Interval;
            return false;
        }

        var (orders, looked) = await queue.TakeAsync(free, cancellation);
        foreach (var order in orders)
        {
            await _places.WaitAsync(cancellation);
            _ = CarryOutAsync(order);
        }

        _untilDue = await queue.NextDueAsync(cancellation) is { } due ? due - Time.GetUtcNow() : Interval;
        return looked == free;
    }

    protected override Task WaitAsync(TimeSpan limit, CancellationToken cancellation) =>
        _signal.WaitAsync(TimeSpan.FromMilliseconds(Math.Clamp(_untilDue.TotalMilliseconds, 1, limit.TotalMilliseconds)), Time, cancellation).AsTask();

    private async Task CarryOutAsync(WakeOrder order)
    {
        try
        {
            await caller.CallAsync(order, _stopping.Token);
        }
        finally
        {
            _places.Release();
            _signal.Wake();
        }
    }

    private void OnChanged(ControlEvent change)
    {
        if (change.Kind == ControlKind.Agent)
        {
            OnMissed();
        }
    }

    private void OnMissed()
    {
        Volatile.Write(ref _agentsChanged, true);
        _signal.Wake();
    }
}

/// <summary>Carries out one wake and settles it. A failure is counted, noted and tried again; it never reaches anybody else.</summary>
internal sealed partial class WakeCaller(GuardedHttp http, WakeQueue queue, TimeProvider time, ILogger<WakeCaller> logger)
{
    /// <summary>The longest that one call may take (ASP §11.1: 5 s).</summary>
    public static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(5);

    /// <summary>The header of the protocol's secret (ASP §11.3).</summary>
    public const string SecretHeader = "X-Wake-Secret";

    /// <summary>The header of a webhook's signature: <c>t=SECONDS,v1=HEX</c>, HMAC-SHA256 over <c>SECONDS.BODY</c>.</summary>
    public const string SignatureHeader = "X-Swarm-Signature";

    private static readonly Meter Meter = new("Swarm");
    private static readonly Counter<long> Results = Meter.CreateCounter<long>("swarm.wakes");

    public async Task CallAsync(WakeOrder order, CancellationToken cancellation)
    {
        try
        {
            var answer = await http.SendAsync(Build(order), cancellation);
            if (answer.IsSuccess)
            {
                var word = answer.Status == 200 && order.Action == WakeAction.Protocol && IsAlreadyActive(answer.Body.Span) ? "already_active" : "woken";
                Results.Add(1, new KeyValuePair<string, object?>("result", word));
                await queue.DoneAsync(order, word, cancellation);
                return;
            }

            var isGivenUp = await queue.FailedAsync(order, answer.Reason, Random.Shared.NextDouble(), cancellation);
            Results.Add(1, new KeyValuePair<string, object?>("result", isGivenUp ? "given_up" : "failed"));
            LogFailed(order.Name, answer.Reason, order.Attempts + 1);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Stopping: the lease runs out, and somebody else does it.
        }
        catch (Exception e)
        {
            Results.Add(1, new KeyValuePair<string, object?>("result", "failed"));
            LogFault(e, order.Name);
        }
    }

    private EgressRequest Build(WakeOrder order)
    {
        var body = order.Action == WakeAction.Protocol ? ProtocolBody(order) : WebhookBody(order);
        List<KeyValuePair<string, string>> headers = [];
        if (order is { Action: WakeAction.Protocol, Secret: { } secret })
        {
            headers.Add(new(SecretHeader, secret));
        }
        else if (order is { Action: WakeAction.Webhook, Secret: { } key })
        {
            headers.Add(new(SignatureHeader, Sign(key, time.GetUtcNow(), body)));
        }

        return new(HttpMethod.Post, order.Url) { Body = body, Headers = headers, TimeMax = TimeMax, BodyBytesMax = 4096 };
    }

    /// <summary>The value of <see cref="SignatureHeader"/>.</summary>
    internal static string Sign(string key, DateTimeOffset at, ReadOnlySpan<byte> body)
    {
        var seconds = at.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes(seconds + "."), .. body];
        return $"t={seconds},v1={Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), signed))}";
    }

    /// <summary>The newest of the loudest messages stands for all (ASP §11.1).</summary>
    private static byte[] ProtocolBody(WakeOrder order) => Write(json =>
    {
        var message = order.Messages.Last(m => m.Level == order.Level);
        json.WriteStartObject();
        json.WriteString("message_id"u8, message.MessageId.ToString());
        json.WriteString("swarm_id"u8, message.Swarm);
        json.WriteString("sender_id"u8, message.Sender);
        json.WriteString("notification_level"u8, WordOf(order.Level));
        json.WriteEndObject();
    });

    /// <summary>Ids and names only: what the messages say is fetched from the inbox, by who may.</summary>
    private static byte[] WebhookBody(WakeOrder order) => Write(json =>
    {
        json.WriteStartObject();
        json.WriteString("type"u8, "wake"u8);
        json.WriteString("agent"u8, order.Name);
        json.WriteString("level"u8, WordOf(order.Level));
        json.WriteStartArray("messages"u8);
        foreach (var message in order.Messages)
        {
            json.WriteStartObject();
            json.WriteNumber("seq"u8, message.Seq);
            json.WriteString("message_id"u8, message.MessageId.ToString());
            json.WriteString("swarm_id"u8, message.Swarm);
            json.WriteString("sender"u8, message.Sender);
            json.WriteString("type"u8, AspWords.Of(message.Kind));
            json.WriteString("priority"u8, AspWords.Of(message.Priority));
            json.WriteString("level"u8, WordOf(message.Level));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    private static byte[] Write(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            write(json);
        }

        return buffer.ToArray();
    }

    private static string WordOf(WakeLevel level) => level == WakeLevel.Urgent ? "urgent" : "normal";

    private static bool IsAlreadyActive(ReadOnlySpan<byte> body) => body.IndexOf("\"already_active\""u8) >= 0;

    [LoggerMessage(3101, LogLevel.Information, "Agent {Agent} could not be woken: {Reason} (try {Attempt}).")]
    private partial void LogFailed(string agent, string reason, int attempt);

    [LoggerMessage(3102, LogLevel.Error, "Waking agent {Agent} failed; its lease runs out, then it is tried again.")]
    private partial void LogFault(Exception e, string agent);
}
