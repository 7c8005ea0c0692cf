using System.Buffers;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Authentication;
using Microsoft.Extensions.Options;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>
/// The one client for every URL that an agent supplied (design §5): https unless loopback is allowed by configuration, only public
/// addresses, connected to exactly the address that was checked; no redirects, proxy, cookies, credentials, decompression or
/// certificate downloads; caps on time, size and calls at once. Failures are answers, not exceptions.
/// </summary>
public sealed class GuardedHttp : IDisposable
{
    /// <summary>The longest that one call may take.</summary>
    public static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(60);

    /// <summary>From the first packet to the end of the TLS handshake.</summary>
    public static readonly TimeSpan ConnectTimeMax = TimeSpan.FromSeconds(10);

    /// <summary>A connection is not used longer, so that a change of DNS is followed.</summary>
    public static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(2);

    /// <summary>The largest answer body that a caller may ask for, in bytes.</summary>
    public const int BodyBytesMax = 1024 * 1024;

    /// <summary>All headers of an answer together, in KiB.</summary>
    public const int HeaderKibibytesMax = 16;

    /// <summary>Calls at once to one destination (<see cref="EgressUrl.Destination"/>); further ones wait, within their time.</summary>
    public const int CallsPerDestinationMax = 32;

    /// <summary>Calls at once to all destinations together.</summary>
    public const int CallsMax = 1024;

    private static readonly TimeSpan IdleTimeMax = TimeSpan.FromSeconds(30);
    private static readonly ProductInfoHeaderValue UserAgent = new("Swarm", typeof(GuardedHttp).Assembly.GetName().Version?.ToString(3));

    private readonly EgressPolicy _policy;
    private readonly TimeProvider _time;
    private readonly HttpMessageInvoker _http;
    private readonly DestinationGates _gates = new(CallsPerDestinationMax);
    private readonly SemaphoreSlim _places = new(CallsMax);

    public GuardedHttp(IOptions<EgressOptions> options, EgressResolver resolve, EgressDialer dial, TimeProvider time)
    {
        _policy = new EgressPolicy(options.Value);
        _time = time;
        _http = new(
            new SocketsHttpHandler
            {
                ConnectCallback = new GuardedConnect(_policy, resolve, dial).ConnectAsync,
                SslOptions = EgressTls.Options(options.Value.TrustedRoots),
                AllowAutoRedirect = false,
                UseProxy = false,
                UseCookies = false,
                Credentials = null,
                PreAuthenticate = false,
                AutomaticDecompression = DecompressionMethods.None,
                ActivityHeadersPropagator = DistributedContextPropagator.CreateNoOutputPropagator(),
                ConnectTimeout = ConnectTimeMax,
                PooledConnectionLifetime = ConnectionLifetime,
                PooledConnectionIdleTimeout = IdleTimeMax,
                MaxConnectionsPerServer = CallsPerDestinationMax,
                MaxResponseHeadersLength = HeaderKibibytesMax,
                MaxResponseDrainSize = 0,
                EnableMultipleHttp2Connections = false,
                KeepAlivePingDelay = TimeSpan.FromSeconds(15),
                KeepAlivePingTimeout = TimeSpan.FromSeconds(5),
                KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            });
    }

    /// <summary>Sends one request and reads its answer whole.</summary>
    /// <exception cref="OperationCanceledException">The caller's own token was cancelled.</exception>
    public async Task<EgressResponse> SendAsync(EgressRequest request, CancellationToken cancellation)
    {
        if (EgressUrl.Parse(request.Url) is not { } url || !MayCall(url) || Build(request, url) is not { } message)
        {
            return EgressResponse.Failed(EgressFailure.NotAllowed);
        }

        using (message)
        using (var timer = new CancellationTokenSource(Within(request.TimeMax), _time))
        using (var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation, timer.Token))
        {
            try
            {
                using var place = await _gates.EnterAsync(url.Destination, end.Token);
                await _places.WaitAsync(end.Token);
                try
                {
                    using var answer = await _http.SendAsync(message, end.Token);
                    return await ReadAsync(answer, Math.Clamp(request.BodyBytesMax, 0, BodyBytesMax), end.Token);
                }
                finally
                {
                    _places.Release();
                }
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                return EgressResponse.Failed(EgressFailure.TimedOut);
            }
            catch (Exception e) when (e is HttpRequestException or IOException or SocketException or AuthenticationException)
            {
                cancellation.ThrowIfCancellationRequested();
                return EgressResponse.Failed(timer.IsCancellationRequested ? EgressFailure.TimedOut : FailureOf(e));
            }
        }
    }

    public void Dispose()
    {
        _http.Dispose();
        _places.Dispose();
    }

    /// <summary>No call is without an end, whatever its caller asked for.</summary>
    private static TimeSpan Within(TimeSpan asked) => asked >= TimeSpan.Zero && asked < TimeMax ? asked : TimeMax;

    /// <summary>What can be refused before anything is looked up.</summary>
    private bool MayCall(EgressUrl url) => url.Address is null || _policy.Allows(url.Address, url.Uri.Scheme);

    private static HttpRequestMessage? Build(EgressRequest request, EgressUrl url)
    {
        var message = new HttpRequestMessage(request.Method, url.Uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        message.Headers.UserAgent.Add(UserAgent);
        if (!request.Body.IsEmpty)
        {
            message.Content = new ReadOnlyMemoryContent(request.Body);
            if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var contentType))
            {
                message.Dispose();
                return null;
            }

            message.Content.Headers.ContentType = contentType;
        }

        foreach (var (name, value) in request.Headers)
        {
            if (!IsOurs(name) || value.Any(char.IsControl) || value.Any(c => c > '~') || !message.Headers.TryAddWithoutValidation(name, value))
            {
                message.Dispose();
                return null;
            }
        }

        return message;
    }

    // Where the request goes and where it ends is not for a header to say.
    private static bool IsOurs(string name) =>
        name.ToUpperInvariant() is not ("HOST" or "CONNECTION" or "TRANSFER-ENCODING" or "UPGRADE" or "TE" or "TRAILER" or "EXPECT" or "COOKIE");

    private static async Task<EgressResponse> ReadAsync(HttpResponseMessage answer, int bytesMax, CancellationToken cancellation)
    {
        if (answer.Content.Headers.ContentLength > bytesMax)
        {
            return EgressResponse.Failed(EgressFailure.TooLarge);
        }

        await using var stream = await answer.Content.ReadAsStreamAsync(cancellation);
        var body = new ArrayBufferWriter<byte>();
        while (await stream.ReadAsync(body.GetMemory(Math.Min(bytesMax + 1, 4096)), cancellation) is > 0 and var count)
        {
            body.Advance(count);
            if (body.WrittenCount > bytesMax)
            {
                return EgressResponse.Failed(EgressFailure.TooLarge);
            }
        }

        return EgressResponse.Answered((int)answer.StatusCode, Kept(answer), body.WrittenMemory);
    }

    private static Dictionary<string, string> Kept(HttpResponseMessage answer)
    {
        var kept = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in EgressResponse.KeptHeaders)
        {
            if (answer.Headers.NonValidated.TryGetValues(name, out var values) || answer.Content.Headers.NonValidated.TryGetValues(name, out values))
            {
                kept[name] = values.First();
            }
        }

        return kept;
    }

    private static EgressFailure FailureOf(Exception e)
    {
        for (var inner = e; inner is not null; inner = inner.InnerException)
        {
            switch (inner)
            {
                case EgressException ours:
                    return ours.Failure;
                case AuthenticationException:
                    return EgressFailure.TlsFailed;
            }
        }

        return e is not HttpRequestException http ? EgressFailure.ProtocolError : http.HttpRequestError switch
        {
            HttpRequestError.SecureConnectionError => EgressFailure.TlsFailed,
            HttpRequestError.ConfigurationLimitExceeded => EgressFailure.TooLarge,
            HttpRequestError.ConnectionError => EgressFailure.ConnectFailed,
            HttpRequestError.NameResolutionError => EgressFailure.Unresolvable,
            _ => EgressFailure.ProtocolError,
        };
    }
}
