using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Swarm.Client.Transport;

namespace Swarm.Client;

/// <summary>The stream cannot resume where it was: messages before <paramref name="OldestSeq"/> are no longer kept.</summary>
public sealed record InboxReset(long OldestSeq);

/// <summary>
/// Thrown by a stream whose <see cref="InboxStreamOptions.OnReset"/> is not set: messages are missing, and somebody must know.
/// </summary>
public sealed class InboxResetException(InboxReset reset)
    : Exception($"Messages before number {reset.OldestSeq} are no longer kept; the stream cannot continue without a gap.")
{
    public InboxReset Reset { get; } = reset;
}

/// <summary>Where a stream begins, and what it reports beside messages.</summary>
public sealed record InboxStreamOptions
{
    /// <summary>Begin after this number; 0 for the oldest message; null for what arrives from now on.</summary>
    public long? After { get; init; }

    /// <summary>Called when messages were lost to retention, before the stream goes on with the oldest kept one.</summary>
    public Action<InboxReset>? OnReset { get; init; }

    /// <summary>Called each time the stream stands, the first time included.</summary>
    public Action? OnConnected { get; init; }

    /// <summary>Called each time the stream broke, with what is known of the cause; it is opened again by itself.</summary>
    public Action<string>? OnBroken { get; init; }
}

public sealed partial class SwarmClient
{
    /// <summary>
    /// Messages as they arrive, without end, oldest first. A broken connection is opened again after the last message that was yielded,
    /// so that none is missing and none comes twice. Looking changes no state.
    /// </summary>
    /// <exception cref="SwarmConnectionException">The node could not be reached at the first try.</exception>
    /// <exception cref="SwarmApiException">The node refuses the stream, at the first or a later try.</exception>
    /// <exception cref="InboxResetException">
    /// Messages were lost to retention and <see cref="InboxStreamOptions.OnReset"/> is not set.
    /// </exception>
    public async IAsyncEnumerable<InboxMessage> StreamAsync(
        string agent, InboxStreamOptions? options = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        options ??= new InboxStreamOptions();
        var last = options.After;
        var backoff = new RetryPolicy(hub.Options);
        var failures = 0;
        var everOpened = false;
        while (true)
        {
            using var connection = await SseConnection.TryOpenAsync(hub, Agent(agent) + "/inbox/stream", last, everOpened, cancellation);
            if (connection.Broken is null)
            {
                everOpened = true;
                options.OnConnected?.Invoke();
            }

            while (await connection.ReadAsync(cancellation) is { } item)
            {
                failures = 0;
                if (item.Type == "message" && Read(item, HubJson.Wire.InboxMessage) is { } message && message.Seq > (last ?? 0))
                {
                    last = message.Seq;
                    yield return message;
                }
                else if (item.Type == "reset")
                {
                    var reset = Read(item, HubJson.Wire.InboxReset);
                    last = Math.Max(last ?? 0, reset.OldestSeq - 1);
                    (options.OnReset ?? throw new InboxResetException(reset)).Invoke(reset);
                }
            }

            // A stream "from now on" that broke before its first message resumes where it stood, if the node said where.
            last ??= connection.Position;
            options.OnBroken?.Invoke(connection.Broken ?? "the node closed it");
            failures++;
            var delay = backoff.Backoff(failures);
            await Task.Delay(connection.Retry > delay ? connection.Retry.Value : delay, hub.Options.TimeProvider, cancellation);
        }
    }

    /// <summary>The number of the newest message; 0 for an empty inbox. What arrives afterwards has a greater one.</summary>
    /// <exception cref="SwarmConnectionException">The node could not be reached, or said no position.</exception>
    public async Task<long> GetNewestSeqAsync(string agent, CancellationToken cancellation = default)
    {
        using var connection = await SseConnection.TryOpenAsync(hub, Agent(agent) + "/inbox/stream", lastSeq: null, again: false, cancellation);
        return await connection.ReadPositionAsync(cancellation) ?? throw new SwarmConnectionException("The stream began without saying where it stands.");
    }

    private static T Read<T>(SseEvent item, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(item.Data, type) ?? throw new JsonException("The event is null.");
        }
        catch (JsonException e)
        {
            throw new SwarmConnectionException("An event of the stream could not be read; is this a Swarm node of this version?", e);
        }
    }
}

/// <summary>One connection of a stream; ends by returning null, with the cause in <see cref="Broken"/>.</summary>
internal sealed class SseConnection : IDisposable
{
    private const int ReadBytes = 64 * 1024;

    private readonly SseParser parser = new();
    private readonly Queue<SseEvent> events = new();
    private readonly List<SseEvent> parsed = [];
    private readonly byte[] buffer = new byte[ReadBytes];
    private readonly SwarmClientOptions options;
    private HttpResponseMessage? response;
    private Stream? stream;

    private SseConnection(SwarmClientOptions options) => this.options = options;

    /// <summary>Why the connection ended or could not be made; null while it stands, or when the node closed it.</summary>
    public string? Broken { get; private set; }

    public TimeSpan? Retry => parser.Retry;

    /// <summary>The number that the stream's ids have reached; null before the first.</summary>
    public long? Position => long.TryParse(parser.LastId, NumberStyles.None, CultureInfo.InvariantCulture, out var seq) ? seq : null;

    /// <summary>
    /// Opens the stream. What may pass by itself (no connection, 429, 5xx) throws at a first opening and is only noted in
    /// <see cref="Broken"/> when <paramref name="again"/>; other refusals always throw.
    /// </summary>
    public static async Task<SseConnection> TryOpenAsync(
        HubTransport hub, string path, long? lastSeq, bool again, CancellationToken cancellation)
    {
        var connection = new SseConnection(hub.Options);
        try
        {
            connection.response = await hub.OpenStreamAsync(path, lastSeq, cancellation);
            connection.stream = await connection.response.Content.ReadAsStreamAsync(cancellation);
        }
        catch (SwarmConnectionException e) when (again)
        {
            connection.Broken = e.Message;
        }
        catch (SwarmApiException e) when (again && (e.Status is 429 or >= 500))
        {
            connection.Broken = e.Message;
        }

        return connection;
    }

    /// <summary>The next event; null when the connection has ended.</summary>
    public async ValueTask<SseEvent?> ReadAsync(CancellationToken cancellation)
    {
        while (events.Count == 0)
        {
            if (stream is null || !await FillAsync(cancellation))
            {
                return null;
            }
        }

        return events.Dequeue();
    }

    /// <summary>Where the stream begins; null when it ended before it said so.</summary>
    public async ValueTask<long?> ReadPositionAsync(CancellationToken cancellation)
    {
        while (Position is null && stream is not null && await FillAsync(cancellation))
        {
            // The first id is on its way.
        }

        return Position;
    }

    public void Dispose()
    {
        stream?.Dispose();
        response?.Dispose();
    }

    private async Task<bool> FillAsync(CancellationToken cancellation)
    {
        using var timer = new CancellationTokenSource(options.StreamSilenceMax, options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            var length = await stream!.ReadAsync(buffer, either.Token);
            parser.Feed(buffer.AsSpan(0, length), parsed);
            parsed.ForEach(events.Enqueue);
            parsed.Clear();
            return length > 0;
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            Broken = $"nothing came for {options.StreamSilenceMax.TotalSeconds:0} s";
            return false;
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            Broken = e.Message;
            return false;
        }
    }
}
