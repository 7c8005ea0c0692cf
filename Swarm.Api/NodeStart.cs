using System.Text.Json;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;
using Npgsql;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Api;

/// <summary>What happens before the first request, and what the CLI finds afterwards.</summary>
internal static class NodeStart
{
    /// <summary>The file that tells programs on this machine where the node listens.</summary>
    public const string NodeFile = "node.json";

    /// <summary>Checks the database, the master key and the data folder, then serves. Returns the exit code.</summary>
    public static async Task<int> RunNodeAsync(this WebApplication app)
    {
        try
        {
            await app.Services.GetRequiredService<StartupChecks>().RunAsync(CancellationToken.None);
            await app.Services.GetRequiredService<NodeSetup>().RunAsync(CancellationToken.None);
            await app.Services.GetRequiredService<ReferenceAgent>().EnsureAsync(CancellationToken.None);
            await app.Services.GetRequiredService<GatewayKeys>().GetAsync(CancellationToken.None);
            app.Lifetime.ApplicationStarted.Register(() => WriteNodeFile(app));
            await app.StartAsync();

            // Starting made garbage that an idle node would keep for hours: collections come with allocations.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
        catch (Exception e) when (e is StorageException or SwarmException or NpgsqlException or IOException or UnauthorizedAccessException
            or InvalidOperationException or OptionsValidationException)
        {
            await Console.Error.WriteLineAsync($"Error: {e.Message}");
            return 1;
        }

        await app.WaitForShutdownAsync();
        return 0;
    }

    private static void WriteNodeFile(WebApplication app)
    {
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        var grpc = app.Configuration["Kestrel:Endpoints:grpc:Url"]; // Cleartext too, but it speaks HTTP/2 alone.
        var http = app.Configuration["Swarm:LocalUrl"] ?? addresses.FirstOrDefault(a => a.StartsWith("http://", StringComparison.Ordinal) && a != grpc);
        var https = app.Configuration["Swarm:PublicUrl"] ?? addresses.FirstOrDefault(a => a.StartsWith("https://", StringComparison.Ordinal));
        var path = Path.Combine(app.Services.GetRequiredService<DataFolderOptions>().Ensure(), NodeFile);
        var partial = $"{path}.{Environment.ProcessId}";
        File.WriteAllText(partial, JsonSerializer.Serialize(new Dictionary<string, string?> { ["url"] = http, ["https_url"] = https }));
        File.Move(partial, path, overwrite: true);
    }
}
