using System.CommandLine;

namespace Swarm.Benchmarks.Load;

/// <summary>What every load scenario takes from the command line.</summary>
/// <param name="Connections">Keep-alive connections.</param>
/// <param name="Seconds">The measured time.</param>
/// <param name="WarmUpSeconds">The time before it; of later runs in one invocation at most <see cref="LaterWarmUpSeconds"/>.</param>
/// <param name="Rate">Requests a second of an open loop; 0 for a closed one.</param>
internal sealed record LoadOptions(int Connections, int Seconds, int WarmUpSeconds, double Rate = 0)
{
    private const int LaterWarmUpSeconds = 3;

    public static readonly Option<int> ConnectionsOption = Options.Number("--connections", "Keep-alive connections, one request at a time on each.", 64, min: 1);

    public static readonly Option<int> SecondsOption = Options.Number("--seconds", "How long to measure, in seconds, each run.", 10, min: 1);

    public static readonly Option<int> WarmUpOption = Options.Number(
        "--warm-up", "How long to load before measuring, in seconds: the runtime compiles while it warms up.", 20);

    public static void AddTo(Command command)
    {
        command.Options.Add(ConnectionsOption);
        command.Options.Add(SecondsOption);
        command.Options.Add(WarmUpOption);
    }

    public static LoadOptions Of(ParseResult result) => new(
        result.GetValue(ConnectionsOption), result.GetValue(SecondsOption), result.GetValue(WarmUpOption));

    /// <summary>The same for run <paramref name="run"/> of one invocation: what is warm stays warm.</summary>
    public LoadOptions OfRun(int run) => run == 0 ? this : this with { WarmUpSeconds = Math.Min(WarmUpSeconds, LaterWarmUpSeconds) };
}

/// <summary>Makes options that check what they are given.</summary>
internal static class Options
{
    public static Option<int> Number(string name, string description, int absent, int min = 0, int max = 100_000_000)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => absent };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && (!int.TryParse(result.Tokens[0].Value, out var value) || value < min || value > max))
            {
                result.AddError($"{name} takes a whole number from {min} to {max}.");
            }
        });
        return option;
    }

    public static Option<bool> Switch(string name, string description) => new(name) { Description = description };
}
