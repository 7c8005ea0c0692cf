using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Swarm.Client.Transport;

/// <summary>Carries <see cref="HubRequest"/>s over HTTP: authorization, time-outs, safe retries, errors.</summary>
internal sealed class HubTransport : IDisposable
{
    /// <summary>The largest answer that is read: a full page of the largest messages, escaped.</summary>
    private const int AnswerBytesMax = 768 * 1024 * 1024;

    /// <summary>The largest error or health body that is read.</summary>
    private const int ErrorBytesMax = 64 * 1024;

    private const string ProblemTypePrefix = "urn:swarm:error:";

    private readonly HttpClient http;
    private readonly RetryPolicy retries;

    public HubTransport(SwarmClientOptions options)
    {
        Options = options;
        retries = new RetryPolicy(options);
        http = new HttpClient(NodeHandler.Create(options))
        {
            BaseAddress = new Uri(options.Url.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/"),
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = AnswerBytesMax,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrHigher,
        };
        http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
    }

    public SwarmClientOptions Options { get; }

    public void Dispose() => http.Dispose();

    /// <summary>Calls and reads the answer's JSON.</summary>
    public async Task<T> CallAsync<T>(HubRequest request, JsonTypeInfo<T> answer, CancellationToken cancellation)
    {
        var bytes = await CallForBytesAsync(request, cancellation);
        try
        {
            return JsonSerializer.Deserialize(bytes, answer) ?? throw new JsonException("The answer is null.");
        }
        catch (JsonException e)
        {
            throw new SwarmConnectionException("The node's answer could not be read; is this a Swarm node of this version?", e);
        }
    }

    /// <summary>Calls for the effect alone.</summary>
    public Task CallAsync(HubRequest request, CancellationToken cancellation) => CallForBytesAsync(request, cancellation);

    /// <summary>Opens an event stream after <paramref name="lastSeq"/>, one try. The caller disposes the response.</summary>
    public async Task<HttpResponseMessage> OpenStreamAsync(string path, long? lastSeq, CancellationToken cancellation)
    {
        using var message = Build(HubRequest.Get(path));
        message.Headers.Accept.Clear();
        message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (lastSeq is { } seq)
        {
            message.Headers.Add("Last-Event-ID", seq.ToString(CultureInfo.InvariantCulture));
        }

        var response = await ExchangeAsync(message, HttpCompletionOption.ResponseHeadersRead, Options.RequestTimeout, cancellation);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw await RefusalAsync(response, cancellation);
        }
    }

    public async Task<NodeHealth> GetHealthAsync(CancellationToken cancellation)
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, new Uri(http.BaseAddress!, "health"));
        using var response = await ExchangeAsync(message, HttpCompletionOption.ResponseHeadersRead, Options.RequestTimeout, cancellation);
        return new NodeHealth((int)response.StatusCode, response.Headers.Date, await ReadSmallAsync(response, cancellation));
    }

    private async Task<byte[]> CallForBytesAsync(HubRequest request, CancellationToken cancellation)
    {
        for (var tries = 1; ; tries++)
        {
            TimeSpan delay;
            try
            {
                using var message = Build(request);
                using var response = await ExchangeAsync(
                    message, HttpCompletionOption.ResponseContentRead, Options.RequestTimeout + request.ExtraTime, cancellation);
                if (response.IsSuccessStatusCode)
                {
                    return await response.Content.ReadAsByteArrayAsync(cancellation);
                }

                var refusal = await RefusalAsync(response, cancellation);
                if (!retries.MayRetry(request, refusal, tries, out delay))
                {
                    throw refusal;
                }
            }
            catch (SwarmConnectionException e) when (retries.MayRetry(request, e, tries, out delay))
            {
                // The delay below, and then the next try.
            }

            await Task.Delay(delay, Options.TimeProvider, cancellation);
        }
    }

    private HttpRequestMessage Build(HubRequest request)
    {
        var message = new HttpRequestMessage(request.Method, new Uri(http.BaseAddress!, request.Root + request.Path));
        if (request.Body is not null)
        {
            message.Content = new ByteArrayContent(request.Body);
            message.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        if (Options.Token is not null && !request.Anonymous)
        {
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Options.Token);
        }

        if (request.IdempotencyKey is not null)
        {
            message.Headers.Add("Idempotency-Key", request.IdempotencyKey);
        }

        return message;
    }

    /// <summary>One request and its answer; everything that is not an answer becomes a <see cref="SwarmConnectionException"/>.</summary>
    private async Task<HttpResponseMessage> ExchangeAsync(
        HttpRequestMessage message, HttpCompletionOption completion, TimeSpan timeout, CancellationToken cancellation)
    {
        using var timer = new CancellationTokenSource(timeout, Options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            return await http.SendAsync(message, completion, either.Token);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new SwarmConnectionException($"{http.BaseAddress} did not answer within {timeout.TotalSeconds:0} s.");
        }
        catch (HttpRequestException e)
        {
            throw new SwarmConnectionException($"{http.BaseAddress} cannot be reached: {Innermost(e)}", e);
        }
    }

    private async Task<SwarmApiException> RefusalAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var problem = ParseProblem(await ReadSmallAsync(response, cancellation));
        var id = problem?.Type is { } type && type.StartsWith(ProblemTypePrefix, StringComparison.Ordinal)
            ? type[ProblemTypePrefix.Length..]
            : problem?.DetailCode ?? SwarmApiException.UnknownErrorId;
        var detail = problem?.Detail ?? problem?.Title ?? problem?.Error ?? $"The node answered {(int)response.StatusCode} ({response.ReasonPhrase}).";
        return new SwarmApiException(id, (int)response.StatusCode, detail, RetryAfter(response)) { Code = problem?.ErrorCode };
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => Max(date - Options.TimeProvider.GetUtcNow(), TimeSpan.Zero),
        _ => null,
    };

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private static Problem? ParseProblem(string body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, HubJson.Wire.Problem);
        }
        catch (JsonException)
        {
            return null; // A proxy's HTML page, for example: the status says what is known.
        }
    }

    private async Task<string> ReadSmallAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var buffer = new byte[ErrorBytesMax];
        using var timer = new CancellationTokenSource(Options.RequestTimeout, Options.TimeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellation);
        try
        {
            using var stream = await response.Content.ReadAsStreamAsync(either.Token);
            var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, either.Token);
            return System.Text.Encoding.UTF8.GetString(buffer, 0, length);
        }
        catch (Exception e) when (
            e is HttpRequestException or IOException || (e is OperationCanceledException && timer.IsCancellationRequested))
        {
            return ""; // The status line is the answer; its body only explains.
        }
    }

    private static string Innermost(Exception e)
    {
        while (e.InnerException is not null)
        {
            e = e.InnerException;
        }

        return e.Message;
    }
}
