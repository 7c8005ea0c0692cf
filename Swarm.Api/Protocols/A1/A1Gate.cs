using System.Text.Json;
using Microsoft.Extensions.Options;
using Swarm.Api.Hub;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;
using Swarm.Core.Storage;

namespace Swarm.Api.Protocols.A1;

/// <summary>Who changes something: for the audit, and for Idempotency-Keys.</summary>
internal sealed record A1Caller(long Id, string Name);

/// <summary>
/// What every route of this door has around it: the protocol's header, the limit by address, an operator's token where something is changed, and an
/// answer in the protocol's form whatever happens (A1 §14.1, §20).
/// </summary>
internal sealed partial class A1Gate(
    HubGate hub, ClientAddress clients, RateLimiter limits, CapabilityOptions options, ILogger<A1Gate> logger)
{
    public const string Protocol = "dyolo_v2.8.0";
    public const string Header = "X-A1-Protocol";

    private static readonly object CallerKey = new();

    /// <summary>A route that anybody may ask.</summary>
    public RequestDelegate Open(RequestDelegate handle) => Guarded(handle);

    /// <summary>A route that changes something, or issues. The token is looked at before the body.</summary>
    public RequestDelegate Admin(RequestDelegate handle) => Guarded(async http =>
    {
        http.Items[CallerKey] = await CallerAsync(http);
        await handle(http);
    });

    public static A1Caller CallerOf(HttpContext http) => (A1Caller)http.Items[CallerKey]!;

    /// <summary>Whether a private key may come with the request.</summary>
    public bool IsPrivate(HttpContext http) => clients.IsPrivate(http);

    private async Task<A1Caller> CallerAsync(HttpContext http)
    {
        if (await hub.WhoAsync(http) is { } principal)
        {
            return principal.IsAdmin
                ? new(principal.TokenId, $"operator token {principal.TokenId}")
                : throw new A1Refusal(StatusCodes.Status403Forbidden, "this token does not allow that: an operator's admin token is needed", "Forbidden");
        }

        // Open only to this machine, and not to a page that a browser on it was lured to.
        if (options.IsReference && hub.IsOurs(http.Request))
        {
            return new(0, "anybody");
        }

        http.Response.Headers.WWWAuthenticate = "Bearer";
        throw new A1Refusal(StatusCodes.Status401Unauthorized, "invalid or missing admin secret", "Unauthenticated");
    }

    private RequestDelegate Guarded(RequestDelegate handle) => async http =>
    {
        http.Response.Headers[Header] = Protocol;
        var address = clients.Of(http);
        var budget = address is null ? (RateKey?)null : RateKey.Address(address);
        if (budget is { } key && limits.Peek(key) is { IsAllowed: false } spent)
        {
            await A1Errors.WriteLimitedAsync(http.Response, spent.RetryAfterSeconds);
            return;
        }

        await AnswerAsync(http, handle);
        if (budget is { } counted && http.Response.StatusCode is >= 400 and < 500)
        {
            limits.Take(counted);
        }
    };

    private async Task AnswerAsync(HttpContext http, RequestDelegate handle)
    {
        var response = http.Response;
        try
        {
            if (!RawPathGuard.IsPlain(http))
            {
                throw NotFound();
            }

            await handle(http);
        }
        catch (A1Refusal refused) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, refused);
        }
        catch (CapabilityException refused) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, A1Errors.Of(refused));
        }
        catch (DenialException refused) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, StatusCodes.Status400BadRequest, refused.Denial);
        }
        catch (ShapeException wrong) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, new(StatusCodes.Status422UnprocessableEntity, wrong.Message, "Shape"));
        }
        catch (SwarmException refused) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, A1Refusal.Invalid(refused.Message));
        }
        catch (JsonException) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, A1Refusal.Invalid("the body is no JSON"));
        }
        catch (BadHttpRequestException broken) when (!response.HasStarted)
        {
            await A1Errors.WriteAsync(response, new(broken.StatusCode, "the request is malformed", "InvalidRequest"));
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && http.RequestAborted.IsCancellationRequested)
        {
            // The caller left before the answer.
        }
        catch (Exception e) when (DatabaseFailure.Is(e) && !response.HasStarted)
        {
            LogDatabase(e);
            await A1Errors.WriteUnavailableAsync(response);
        }
        catch (Exception e) when (!response.HasStarted)
        {
            LogUnexpected(e);
            await A1Errors.WriteInternalAsync(response);
        }
    }

    public static A1Refusal NotFound() => new(StatusCodes.Status404NotFound, "no such route", "NotFound");

    [LoggerMessage(2201, LogLevel.Error, "The database failed during a request to the A1 door; answered 503")]
    private partial void LogDatabase(Exception e);

    [LoggerMessage(2202, LogLevel.Error, "A request to the A1 door failed in a way that no rule foresees; answered 500")]
    private partial void LogUnexpected(Exception e);
}

/// <summary>Says the reference mode loudly at the start, and stops a start that would offer it to a network.</summary>
internal sealed partial class A1Guard(
    CapabilityOptions options, IConfiguration configuration, Microsoft.AspNetCore.Hosting.Server.IServer server, ILogger<A1Guard> log) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        if (options is { Enabled: true, IsReference: true })
        {
            LogReference();
            Refuse(CompatibilityGuard.ConfiguredUrls(configuration));
        }

        return Task.CompletedTask;
    }

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        if (options is { Enabled: true, IsReference: true })
        {
            Refuse(server.Features.Get<Microsoft.AspNetCore.Hosting.Server.Features.IServerAddressesFeature>()?.Addresses ?? []);
        }

        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static void Refuse(IEnumerable<string> urls)
    {
        if (urls.FirstOrDefault(url => !CompatibilityGuard.IsLoopback(url)) is { } open)
        {
            throw new InvalidOperationException(
                $"A1:Compatibility=Reference lets everybody issue, revoke and be trusted, so every endpoint must be on loopback; {open} is not. Remove the switch, or bind to 127.0.0.1.");
        }
    }

    [LoggerMessage(2203, LogLevel.Warning, "A1:Compatibility=Reference: any principal is trusted, and changes need NO token at /v1. For tests only")]
    private partial void LogReference();
}
