using System.CommandLine;
using Swarm.Benchmarks.Floor;
using Swarm.Benchmarks.Peer;
using Swarm.Benchmarks.Scenarios;

var root = new RootCommand(
    """
    Drives a node over its wire and says how fast it is. Each scenario starts what it needs (Postgres, Redis, the node) in private,
    temporary folders, and checks afterwards that what the node answered is what it did. Each prints a table with the medians of its runs and
    describes the machine; --json ends with one line for programs. Exit codes: 0 every check held, 1 one did not, 2 bad arguments.

    Examples:
      dotnet run -c Release --project Swarm.Benchmarks -- ingest --connections 64 --seconds 10
      dotnet run -c Release --project Swarm.Benchmarks -- floor --connections 64 --seconds 10 --json
      dotnet run -c Release --project Swarm.Benchmarks -- streams --help
      dotnet run -c Release --project Swarm.Benchmarks -- all --quick
    """);
root.Subcommands.Add(IngestScenario.Command());
root.Subcommands.Add(FloorScenario.Command());
root.Subcommands.Add(BatchScenario.Command());
root.Subcommands.Add(SseScenario.Command());
root.Subcommands.Add(StreamsScenario.Command());
root.Subcommands.Add(FanoutScenario.Command());
root.Subcommands.Add(DeliveryScenario.Command());
root.Subcommands.Add(GrowthScenario.Command());
root.Subcommands.Add(PushScenario.Command());
root.Subcommands.Add(SoakScenario.Command());
root.Subcommands.Add(MemoryScenario.Command());
root.Subcommands.Add(StartScenario.Command());
root.Subcommands.Add(AuthorizeScenario.Command());
root.Subcommands.Add(AuthorizeCoreScenario.Command());
root.Subcommands.Add(Blake3Scenario.Command());
root.Subcommands.Add(AllScenarios.Command());
root.Subcommands.Add(FloorServer.Command());
root.Subcommands.Add(PeerServer.Command());

// An interrupted scenario stops the servers that it started, in order.
var call = root.Parse(args);
var exitCode = await call.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });
return call.Errors.Count > 0 ? 2 : exitCode;
