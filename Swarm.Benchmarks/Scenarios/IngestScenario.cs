using System.CommandLine;
using Spectre.Console;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Accept: one signed message a request at the Agent Swarm Protocol door, every check on (design §9, first line).</summary>
internal static class IngestScenario
{
    /// <summary>No machine of the class that this is meant for answers more a second; so many messages are signed before the run.</summary>
    public const int RateMax = 20_000;

    public static Command Command()
    {
        var command = new Command("ingest", "Accept signed messages at the Agent Swarm Protocol door: verify, commit with fsync, signal.");
        LoadOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(LoadOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, CancellationToken cancellation)
    {
        AnsiConsole.MarkupLine("Starting Postgres, Redis and the node …");
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node.ConnectionString, cancellation);
        var messages = Prepare(population, options);
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, "messages", "deliveries", cancellation);
        var server = node.Api();
        var load = await Progress.RunAsync("Loading", options.WarmUpSeconds + options.Seconds, tick =>
            HttpLoad.RunAsync(node.Http, messages, options, tick, cancellation));
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, "messages", "deliveries", cancellation);
        return Report.Print("ingest", options, load, before, after, server, node.Api());
    }

    public static SignedMessages Prepare(Population population, LoadOptions options)
    {
        var count = (options.WarmUpSeconds + options.Seconds) * RateMax;
        return Progress.Run("Signing", count, tick => new SignedMessages(population, count, TimeProvider.System.GetUtcNow(), done => tick(done)));
    }
}

/// <summary>A progress bar where there is a person to look at it.</summary>
internal static class Progress
{
    public static T Run<T>(string what, double total, Func<Action<double>, T> work) =>
        AnsiConsole.Progress().Start(context =>
        {
            var task = context.AddTask(what, maxValue: total);
            var result = work(value => task.Value = value);
            task.Value = total;
            return result;
        });

    public static Task<T> RunAsync<T>(string what, double total, Func<Action<double>, Task<T>> work) =>
        AnsiConsole.Progress().StartAsync(async context =>
        {
            var task = context.AddTask(what, maxValue: total);
            var result = await work(value => task.Value = value);
            task.Value = total;
            return result;
        });
}
