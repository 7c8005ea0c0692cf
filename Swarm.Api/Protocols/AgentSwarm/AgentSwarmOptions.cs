using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>How strict the door is.</summary>
public enum AgentSwarmCompatibility
{
    /// <summary>Every message is verified (ASP §4.4, hardened).</summary>
    Strict,

    /// <summary>
    /// Like the reference server: sender, signature, time and recipient are not checked. For tests against reference peers; refused
    /// when anything but loopback is listened on.
    /// </summary>
    Reference,
}

/// <summary>Who may use the local endpoints, <c>/api/inbox</c> and <c>/api/outbox</c> (ASP §9).</summary>
public enum AgentSwarmLocalApi
{
    /// <summary>Holders of a token of the node or of the agent.</summary>
    Protected,

    /// <summary>
    /// Everybody who reaches the port, as the default agent: what the reference's command line needs. Refused when anything but loopback
    /// is listened on.
    /// </summary>
    Open,
}

/// <summary>Configuration section <c>AgentSwarm</c>.</summary>
public sealed class AgentSwarmOptions
{
    public const string Section = "AgentSwarm";

    public AgentSwarmCompatibility Compatibility { get; set; } = AgentSwarmCompatibility.Strict;

    public AgentSwarmLocalApi LocalApi { get; set; } = AgentSwarmLocalApi.Protected;

    /// <summary>Whether the message door takes the v2 text form (<c>text/x-swarm-message</c>, ASP §5.2) as well; no reference server does.</summary>
    public bool AcceptText { get; set; }

    /// <summary>Whether the node asks by itself how a swarm of another node stands when it seems to have missed something (ASP §10.6).</summary>
    public bool Resync { get; set; } = true;

    public WakeEndpointOptions Wake { get; set; } = new();

    /// <summary>True when the local endpoints ask for no token.</summary>
    public bool IsLocalApiOpen => LocalApi == AgentSwarmLocalApi.Open || Compatibility == AgentSwarmCompatibility.Reference;
}

/// <summary>Says the reference mode loudly at the start, and stops a start that would offer it to a network.</summary>
internal sealed partial class CompatibilityGuard(
    IOptions<AgentSwarmOptions> options, IConfiguration configuration, IServer server, ILogger<CompatibilityGuard> log) : IHostedLifecycleService
{
    private bool IsOpen => options.Value.IsLocalApiOpen || options.Value.Wake.IsOpen;

    /// <summary>Before the server listens: what configuration names.</summary>
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        if (options.Value.Compatibility == AgentSwarmCompatibility.Reference)
        {
            ReferenceModeIsOn(log);
        }

        if (options.Value.IsLocalApiOpen)
        {
            LocalApiIsOpen(log);
        }

        if (options.Value.Wake.IsOpen)
        {
            WakeIsOpen(log);
        }

        if (IsOpen)
        {
            Refuse(ConfiguredUrls(configuration));
        }

        return Task.CompletedTask;
    }

    /// <summary>After it listens: what it really bound, should something else have named it.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        if (IsOpen)
        {
            Refuse(server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []);
        }

        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>True when only this machine can reach the URL; what cannot be read counts as public.</summary>
    internal static bool IsLoopback(string url)
    {
        if (url.Contains("://unix:", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        // "*" and "+" are no host names, so such a URL does not parse.
        return Uri.TryCreate(url, UriKind.Absolute, out var uri)
            && (uri.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
                || (IPAddress.TryParse(uri.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address)));
    }

    internal static IEnumerable<string> ConfiguredUrls(IConfiguration configuration)
    {
        var endpoints = configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]).OfType<string>().ToList();
        return endpoints.Count > 0 ? endpoints : (configuration["urls"] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    private void Refuse(IEnumerable<string> urls)
    {
        if (urls.FirstOrDefault(url => !IsLoopback(url)) is { } open)
        {
            throw new InvalidOperationException(
                (options.Value.Compatibility == AgentSwarmCompatibility.Reference
                    ? "AgentSwarm:Compatibility=Reference accepts unverified messages"
                    : options.Value.IsLocalApiOpen ? "AgentSwarm:LocalApi=Open shows the default agent's inbox to everybody"
                    : "AgentSwarm:Wake:Enabled without AgentSwarm:Wake:Secret lets everybody wake the agent")
                + $", so every endpoint must be on loopback; {open} is not. Remove the switch, or bind to 127.0.0.1.");
        }
    }

    [LoggerMessage(EventId = 2101, Level = LogLevel.Warning, Message =
        "AgentSwarm:Compatibility=Reference: signatures, senders, times and recipients are NOT checked at /swarm and /agents. For tests only")]
    private static partial void ReferenceModeIsOn(ILogger log);

    [LoggerMessage(EventId = 2105, Level = LogLevel.Warning, Message =
        "/api/inbox and /api/outbox ask for NO token: everybody on this machine reads and deletes the default agent's messages")]
    private static partial void LocalApiIsOpen(ILogger log);

    [LoggerMessage(EventId = 2107, Level = LogLevel.Warning, Message =
        "/api/wake asks for NO secret: everybody on this machine wakes the default agent. Set AgentSwarm:Wake:Secret")]
    private static partial void WakeIsOpen(ILogger log);
}
