using Microsoft.Extensions.Options;
using Swarm.Api.Protocols.AgentSwarm.Wire;
using Swarm.Core;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>The Agent Swarm Protocol door (ASP §8): one for each local agent, and one for the node's default agent.</summary>
public static partial class AgentSwarmEndpoints
{
    /// <summary>Routes of one agent's door.</summary>
    public static WebApplication MapAgentSwarm(this WebApplication app)
    {
        foreach (var door in new[] { app.MapGroup("/swarm"), app.MapGroup("/agents/{agent}/swarm") })
        {
            door.MapPost("/message", Limited(Guarded(PostMessageAsync)));
            door.MapPost("/join", Limited(Guarded(PostJoinAsync)));
            door.MapGet("/health", Limited(Guarded(GetHealthAsync)));
            door.MapGet("/info", Limited(Guarded(GetInfoAsync)));
            door.Map("/message", Limited(MethodNotAllowed("POST")));
            door.Map("/join", Limited(MethodNotAllowed("POST")));
            door.Map("/health", Limited(MethodNotAllowed("GET")));
            door.Map("/info", Limited(MethodNotAllowed("GET")));
            door.Map("/{**rest}", Limited(NotFound));
        }

        LocalEndpoints.Map(app);
        return app;
    }

    /// <summary>Options and start-up checks of this door.</summary>
    public static IServiceCollection AddAgentSwarm(this IServiceCollection services)
    {
        services.AddOptions<AgentSwarmOptions>()
            .BindConfiguration(AgentSwarmOptions.Section)
            .Validate(options => Enum.IsDefined(options.Compatibility), "AgentSwarm:Compatibility must be Strict or Reference")
            .Validate(options => Enum.IsDefined(options.LocalApi), "AgentSwarm:LocalApi must be Protected or Open")
            .Validate(options => options.Wake.Fault() is null, "AgentSwarm:Wake: Method is noop or tmux, tmux needs a TmuxTarget, SessionTimeoutMinutes is 1 to 1440")
            .ValidateOnStart();
        services.AddSingleton(provider =>
        {
            var wake = provider.GetRequiredService<IOptions<AgentSwarmOptions>>().Value.Wake;
            var time = provider.GetRequiredService<TimeProvider>();
            IInvoker invoker = wake.Method == "tmux" ? new TmuxInvoker(wake.TmuxTarget, time) : new NoopInvoker();
            return new Invocations(
                invoker, provider.GetRequiredService<Conversations>(), wake.SessionTimeout, provider.GetRequiredService<ILogger<Invocations>>());
        });
        services.AddHostedService<CompatibilityGuard>();
        services.AddSingleton<AgentSwarmPeer>();
        services.AddSingleton<AgentSwarmBudgets>();
        return services;
    }

    private static async Task PostMessageAsync(HttpContext context, AgentProfile agent)
    {
        var services = context.RequestServices;
        using var body = await RequestBody.ReadAsync(context.Request, AgentSwarmLimits.BodyBytesMax, context.RequestAborted);
        if (body.IsTooLarge)
        {
            await RefuseBodyAsync(context.Response);
            return;
        }

        var options = services.GetRequiredService<IOptions<AgentSwarmOptions>>().Value;
        var isJson = RequestBody.IsJson(context.Request);
        var wire = body.Bytes;
        if (options.AcceptText && !isJson && RequestBody.IsText(context.Request))
        {
            isJson = true;
            wire = await ToJsonAsync(services, wire, context.RequestAborted);
        }

        if (!isJson || !MessageReader.TryRead(wire.Span, out var message))
        {
            await AgentSwarmErrors.WriteShapeAsync(context.Response, MessageShape.Explain(wire, isJson));
            return;
        }

        var isUnchecked = options.Compatibility == AgentSwarmCompatibility.Reference;
        var envelope = AgentSwarmMapper.ToEnvelope(message, wire, agent, isUnchecked);

        // Not to be cancelled by a caller who hangs up: the writer may still read the body, which goes back to the pool below.
        var receipt = await services.GetRequiredService<Intake>().AcceptAsync(envelope, CancellationToken.None);
        if (receipt.Error is { } error)
        {
            await AgentSwarmErrors.WriteAsync(context.Response, error, retryAfterSeconds: receipt.RetryAfterSeconds);
            return;
        }

        var response = context.Response;
        AgentSwarmBudgets.Write(response, receipt.Budget);
        if (receipt.IsOfferTaken)
        {
            var id = System.Text.Encoding.UTF8.GetString(message.MessageIdText.Decode(body.Bytes.Span, stackalloc byte[AspUuid.Length]));
            await AgentSwarmErrors.WriteJsonAsync(response, StatusCodes.Status200OK, id, AgentSwarmMapper.WriteAccepted);
            return;
        }

        response.ContentType = "application/json";
        response.ContentLength = AgentSwarmMapper.QueuedLength;
        AgentSwarmMapper.WriteQueued(response.BodyWriter, message, wire.Span);
        await response.BodyWriter.FlushAsync(CancellationToken.None);
    }

    /// <summary>
    /// A message in either form (ASP §5.2) as the v1 JSON that is stored: the signature holds in both. The roster knows the sender's endpoint; a
    /// sender that it does not know is refused like any other.
    /// </summary>
    private static async Task<ReadOnlyMemory<byte>> ToJsonAsync(IServiceProvider services, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        if (TextForm.Detect(bytes.Span) == MessageForm.Json)
        {
            return bytes;
        }

        const string NoEndpoint = "https://unknown.invalid/";
        var message = TextForm.Parse(bytes.Span, NoEndpoint);
        var roster = await services.GetRequiredService<Rosters>().GetAsync(message.SwarmId, cancellation);
        return MessageWriter.Write(roster?.Find(message.SenderId) is { } sender ? message with { SenderEndpoint = sender.Endpoint } : message);
    }

    private static async Task PostJoinAsync(HttpContext context, AgentProfile agent)
    {
        using var body = await RequestBody.ReadAsync(context.Request, AgentSwarmLimits.BodyBytesMax, context.RequestAborted);
        if (body.IsTooLarge)
        {
            await RefuseBodyAsync(context.Response);
            return;
        }

        if (!JoinShape.TryRead(body.Bytes, RequestBody.IsJson(context.Request), out var application, out var failures))
        {
            await AgentSwarmErrors.WriteShapeAsync(context.Response, failures);
            return;
        }

        var outcome = await context.RequestServices.GetRequiredService<SwarmAdmission>().AdmitAsync(agent, application, context.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(
            context.Response, outcome.Pending ? StatusCodes.Status202Accepted : StatusCodes.Status200OK, outcome, AgentSwarmMapper.WriteJoin);
    }

    private static Task GetHealthAsync(HttpContext context, AgentProfile agent)
    {
        var now = context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
        return AgentSwarmErrors.WriteJsonAsync(
            context.Response, StatusCodes.Status200OK, (agent, now), static (json, it) => AgentSwarmMapper.WriteHealth(json, it.agent, it.now));
    }

    private static Task GetInfoAsync(HttpContext context, AgentProfile agent) =>
        AgentSwarmErrors.WriteJsonAsync(context.Response, StatusCodes.Status200OK, agent, AgentSwarmMapper.WriteInfo);

    internal static Task NotFound(HttpContext context) =>
        AgentSwarmErrors.WriteDetailAsync(context.Response, StatusCodes.Status404NotFound, "Not Found");

    internal static RequestDelegate MethodNotAllowed(string allowed) => context =>
    {
        context.Response.Headers.Allow = allowed;
        return AgentSwarmErrors.WriteDetailAsync(context.Response, StatusCodes.Status405MethodNotAllowed, "Method Not Allowed");
    };

    internal static Task RefuseBodyAsync(HttpResponse response)
    {
        // What is left of the body is not worth reading.
        response.Headers.Connection = "close";
        return AgentSwarmErrors.WriteAsync(response, SwarmError.BodyTooLarge);
    }

    /// <summary>Refuses an address that was refused too often, counts what is refused now, and tells every caller where it stands (ASP §7.3).</summary>
    internal static RequestDelegate Limited(RequestDelegate handle) => context =>
    {
        var refusal = context.RequestServices.GetRequiredService<AgentSwarmBudgets>().Enter(context);
        return refusal is { } spent
            ? AgentSwarmErrors.WriteAsync(context.Response, SwarmError.RateLimited, retryAfterSeconds: spent.RetryAfterSeconds)
            : handle(context);
    };

    /// <summary>What every route has around it: a plain path, a known agent, and an answer in the protocol's form whatever happens.</summary>
    internal static RequestDelegate Guarded(Func<HttpContext, AgentProfile, Task> handle) => Shielded(async context =>
    {
        if (await FindAgentAsync(context) is { } agent)
        {
            await handle(context, agent);
        }
        else
        {
            await NotFound(context);
        }
    });

    /// <summary>The same without an agent.</summary>
    internal static RequestDelegate Shielded(RequestDelegate handle) => async context =>
    {
        try
        {
            if (!RawPathGuard.IsPlain(context))
            {
                await NotFound(context);
                return;
            }

            if (context.Request.Path.Value is { } path && path.EndsWith('/'))
            {
                // ASP §7.5; clients do not follow it, but people with a browser do.
                context.Response.StatusCode = StatusCodes.Status307TemporaryRedirect;
                context.Response.Headers.Location = path.TrimEnd('/') + context.Request.QueryString;
                return;
            }

            await handle(context);
        }
        catch (SwarmException refused) when (!context.Response.HasStarted)
        {
            await AgentSwarmErrors.WriteAsync(context.Response, refused.Error, refused.Message, refused.Reason);
        }
        catch (BadHttpRequestException broken) when (!context.Response.HasStarted)
        {
            await AgentSwarmErrors.WriteAsync(
                context.Response,
                broken.StatusCode == StatusCodes.Status413PayloadTooLarge ? SwarmError.BodyTooLarge : SwarmError.InvalidRequest,
                broken.Message);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            var log = LogOf(context);
            CallerLeft(log);
        }
        catch (Exception exception) when ((exception is OperationCanceledException || DatabaseFailure.Is(exception)) && !context.Response.HasStarted)
        {
            DatabaseFailed(LogOf(context), exception);
            await AgentSwarmErrors.WriteAsync(context.Response, SwarmError.Unavailable);
        }
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            Failed(LogOf(context), exception);
            await AgentSwarmErrors.WriteInternalErrorAsync(context.Response);
        }
    };

    private static ValueTask<AgentProfile?> FindAgentAsync(HttpContext context)
    {
        var directory = context.RequestServices.GetRequiredService<AgentDirectory>();
        return context.GetRouteValue("agent") is not string name ? directory.FindDefaultAsync(context.RequestAborted)
            : AgentName.IsValidForLocal(name) ? directory.FindAsync(name, context.RequestAborted)
            : ValueTask.FromResult<AgentProfile?>(null);
    }

    private static ILogger LogOf(HttpContext context) =>
        context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("Swarm.Api.AgentSwarm");

    [LoggerMessage(EventId = 2102, Level = LogLevel.Debug, Message = "The caller left before the answer")]
    private static partial void CallerLeft(ILogger log);

    [LoggerMessage(EventId = 2103, Level = LogLevel.Error, Message = "The database failed during a request; answered 503")]
    private static partial void DatabaseFailed(ILogger log, Exception exception);

    [LoggerMessage(EventId = 2104, Level = LogLevel.Error, Message = "A request failed in a way that no rule foresees; answered 500")]
    private static partial void Failed(ILogger log, Exception exception);
}
