using Microsoft.Extensions.Options;
using Npgsql;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Storage;
using Swarm.ServiceDefaults;
using Swarm.Worker.GitHub;

namespace Swarm.Worker;

/// <summary>What the Worker does by its first argument. Exit codes: 0 done, 1 failed, 2 bad arguments.</summary>
internal static partial class WorkerCommands
{
    private const string Usage =
        """
        Usage: Swarm.Worker COMMAND

          migrate        bring the database's schema up to date, and end
          restore FILE   fill an empty, migrated database from a backup archive, and end
          run            deliver, expire and retain until stopped; watch GitHub, where section GitHub names repositories
          github dry-run   read GitHub once, log what would be told, change nothing, and end
          github seed      record everything there is now as known, tell nobody, and end
          github reset     forget what was seen and what is still to be told, and end

        The connection string is read from ConnectionStrings__swarm. Example:
          ConnectionStrings__swarm='Host=localhost;Username=swarm;Password=…;Database=swarm' dotnet Swarm.Worker.dll migrate
        """;

    public static async Task<int> RunAsync(WebApplication app, string[] args)
    {
        try
        {
            switch (args)
            {
                case ["migrate", ..]:
                    await MigrateAsync(app);
                    return 0;
                case ["restore", var file, ..] when !file.StartsWith('-'):
                    await RestoreAsync(app, file);
                    return 0;
                case ["github", var what, ..] when what is "dry-run" or "seed" or "reset":
                    await GitHubAsync(app, what);
                    return 0;
                case ["run", ..]:
                    CheckGitHub(app);
                    await app.Services.GetRequiredService<StartupChecks>().RunAsync(CancellationToken.None);
                    app.MapDefaultEndpoints();
                    await app.RunAsync();
                    return 0;
                default:
                    await Console.Error.WriteLineAsync(Usage);
                    return 2;
            }
        }
        catch (Exception e) when (e is StorageException or SwarmException or NpgsqlException or IOException or OptionsValidationException)
        {
            await Console.Error.WriteLineAsync($"Error: {e.Message}");
            return 1;
        }
    }

    private static async Task MigrateAsync(WebApplication app)
    {
        var applied = await app.Services.GetRequiredService<Migrator>().MigrateAsync(CancellationToken.None);
        Console.WriteLine(applied.Count == 0 ? "The schema is up to date." : $"Applied {string.Join(", ", applied)}.");
    }

    private static void CheckGitHub(WebApplication app)
    {
        if (app.Services.GetRequiredService<GitHubOptions>() is { IsOn: true } options)
        {
            options.Check();
        }
    }

    private static async Task GitHubAsync(WebApplication app, string what)
    {
        if (what == "reset")
        {
            await app.Services.GetRequiredService<Core.GitHub.GitHubState>().ResetAsync(CancellationToken.None);
            Console.WriteLine("Everything is forgotten.");
            return;
        }

        app.Services.GetRequiredService<GitHubOptions>().Check();
        var found = await app.Services.GetRequiredService<GitHubMonitor>().PollAsync(what == "seed" ? PollMode.Seed : PollMode.Dry, CancellationToken.None);
        Console.WriteLine($"{found} events.");
    }

    private static async Task RestoreAsync(WebApplication app, string file)
    {
        var folder = app.Services.GetRequiredService<DataFolderOptions>().Ensure();
        var rows = await app.Services.GetRequiredService<Backup>().RestoreAsync(file, folder, CancellationToken.None);
        Console.WriteLine($"Restored {rows} rows. The local CA is in {folder}.");
        Console.WriteLine(
            $"The master key is in {Path.Combine(folder, Backup.MasterKeyEntry)}: give it to the node as Swarm__MasterKey (the AppHost: " +
            "dotnet user-secrets set Parameters:master-key \"$(cat FILE)\" --project Swarm.AppHost), then delete that file.");
    }
}
