using System.CommandLine;

namespace Swarm.Benchmarks.Load;

/// <summary>What every load scenario takes from the command line.</summary>
internal sealed record LoadOptions(int Connections, int Seconds, int WarmUpSeconds, bool Json)
{
    public static readonly Option<int> ConnectionsOption = new("--connections")
    {
        Description = "Keep-alive connections, one request at a time on each.", DefaultValueFactory = _ => 64,
    };

    public static readonly Option<int> SecondsOption = new("--seconds")
    {
        Description = "How long to measure, in seconds.", DefaultValueFactory = _ => 10,
    };

    public static readonly Option<int> WarmUpOption = new("--warm-up")
    {
        Description = "How long to load before measuring, in seconds: the runtime compiles while it warms up.", DefaultValueFactory = _ => 20,
    };

    public static readonly Option<bool> JsonOption = new("--json") { Description = "End with one line that is a JSON object." };

    public static void AddTo(Command command)
    {
        foreach (var option in (Option<int>[])[ConnectionsOption, SecondsOption, WarmUpOption])
        {
            option.Validators.Add(result =>
            {
                if (result.Tokens.Count == 1 && (!int.TryParse(result.Tokens[0].Value, out var value) || value is < 0 or > 100_000))
                {
                    result.AddError($"{result.Option.Name} takes a whole number from 0 to 100000.");
                }
            });
            command.Options.Add(option);
        }

        command.Options.Add(JsonOption);
    }

    public static LoadOptions Of(ParseResult result) => new(
        Math.Max(1, result.GetValue(ConnectionsOption)),
        Math.Max(1, result.GetValue(SecondsOption)),
        result.GetValue(WarmUpOption),
        result.GetValue(JsonOption));
}
