using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Swarm.AppHost;

/// <summary>Where the Api's endpoints listen, and what the world calls it.</summary>
internal static class Doors
{
    private const string PublicUrl = "Swarm__PublicUrl";

    public static void Configure(IResourceBuilder<ProjectResource> api, IConfiguration settings)
    {
        if (api.ApplicationBuilder.ExecutionContext.IsPublishMode)
        {
            PutBehindIngress(api, settings);
        }
        else
        {
            ListenOnThisMachine(api, settings);
        }
    }

    /// <summary>The ports of appsettings.json, or those in Swarm:Ports:http, https and grpc.</summary>
    private static void ListenOnThisMachine(IResourceBuilder<ProjectResource> api, IConfiguration settings)
    {
        foreach (var name in new[] { "http", "https", "grpc" })
        {
            if (settings.GetValue<int?>($"Ports:{name}") is { } port)
            {
                api.WithEndpoint(name, endpoint => endpoint.Port = port, createIfNotExists: false);
            }
        }

        // The CLI's way in; with several replicas, the port that they share.
        api.WithEnvironment("Swarm__LocalUrl", api.GetEndpoint("http"));
        var https = api.GetEndpoint("https").Property(EndpointProperty.Port);
        api.WithEnvironment(context => context.EnvironmentVariables[PublicUrl] =
            settings["PublicUrl"] is { } given ? given : ReferenceExpression.Create($"https://localhost:{https}"));
    }

    /// <summary>In a deployment the ingress ends TLS and talks to one port; gRPC stays inside.</summary>
    private static void PutBehindIngress(IResourceBuilder<ProjectResource> api, IConfiguration settings)
    {
        var target = api.GetEndpoint("http").TargetPort;
        api.WithEndpoint("https", endpoint => endpoint.TargetPort = target, createIfNotExists: false)
            .WithEndpoint("grpc", endpoint => endpoint.IsExternal = false, createIfNotExists: false)
            .WithEndpointsInEnvironment(endpoint => endpoint.UriScheme != "https")
            .WithEnvironment(context => context.EnvironmentVariables[PublicUrl] = settings["PublicUrl"] is { } given ? given : api.GetEndpoint("https"));
    }
}
