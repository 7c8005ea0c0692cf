using System.Text.Json.Nodes;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm backup</c>: the node writes an archive of its database, master key and local certificate authority.</summary>
internal static class BackupCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("backup", "Have the node write a backup into its data folder; operators only.")
        {
            Examples = ["swarm backup", "swarm backup --json"],
        };
        command.Runs(open, async (session, _, cancellation) =>
        {
            var client = await session.ForOperatorAsync(cancellation);
            var backup = await session.Terminal.WithProgressAsync("The node writes a backup …", () => client.BackupAsync(cancellation));
            return session.Done(
                new JsonObject
                {
                    ["status"] = "created", ["path"] = backup.Path, ["bytes"] = backup.Bytes, ["tables"] = backup.Tables,
                    ["rows"] = backup.Rows,
                },
                $"Backup written: {backup.Path}",
                $"  {backup.Bytes} bytes, {backup.Tables} tables, {backup.Rows} rows",
                "It holds the master key: keep it where only you can read it, and not only on this machine.");
        });
        return command;
    }
}
