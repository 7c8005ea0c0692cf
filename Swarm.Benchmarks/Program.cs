using System.CommandLine;
using Swarm.Benchmarks.Floor;
using Swarm.Benchmarks.Scenarios;

var root = new RootCommand(
    """
    Drives a node over its wire and says how fast it is. Each scenario starts what it needs (Postgres, Redis, the node) in private,
    temporary folders, and checks afterwards that the rows in Postgres equal the answers.

    Examples:
      dotnet run -c Release --project Swarm.Benchmarks -- ingest --connections 64 --seconds 10
      dotnet run -c Release --project Swarm.Benchmarks -- floor --connections 64 --seconds 10 --json
    """);
root.Subcommands.Add(IngestScenario.Command());
root.Subcommands.Add(FloorScenario.Command());
root.Subcommands.Add(FloorServer.Command());
return await root.Parse(args).InvokeAsync();
