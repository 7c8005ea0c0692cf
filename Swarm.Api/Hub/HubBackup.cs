using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Api.Hub;

/// <summary>Backups are written on the node; only their path leaves it, because an archive holds the master key.</summary>
internal sealed class HubBackup(Backup backup, KeyVaultOptions keys, DataFolderOptions folder, TimeProvider time)
{
    public static async Task<IResult> Run(HttpContext http, HubBackup node)
    {
        http.RequireAdmin();
        var summary = await node.RunAsync(http.RequestAborted);
        return Results.Json(new BackupBody(summary.Path, summary.Bytes, summary.Tables, summary.Rows), HubJson.Default.BackupBody);
    }

    private Task<BackupSummary> RunAsync(CancellationToken cancellation)
    {
        var root = folder.Ensure();
        return backup.WriteAsync(
            Path.Combine(root, "backups"),
            keys.MasterKey,
            new Dictionary<string, string> { ["ca.pem"] = Path.Combine(root, "ca.pem"), ["ca.key"] = Path.Combine(root, "ca.key") },
            time.GetUtcNow(),
            cancellation);
    }
}
