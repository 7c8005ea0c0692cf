using System.CommandLine;

namespace Swarm.Benchmarks.Load;

/// <summary>How often to measure, and what to do with the result: the same for every scenario.</summary>
/// <param name="Runs">Runs in one invocation; the result holds their medians.</param>
/// <param name="Json">End with one line that is a JSON object.</param>
/// <param name="Out">A file to which that line is added; null for none.</param>
internal sealed record ReportOptions(int Runs, bool Json, string? Out)
{
    public static readonly Option<int> RunsOption = Options.Number("--runs", "How often to measure; the result holds the medians.", 3, min: 1, max: 100);

    private static readonly Option<bool> JsonOption = Options.Switch("--json", "End with one line that is a JSON object.");

    private static readonly Option<string?> OutOption = new("--out") { Description = "A file to which that line is added." };

    public static void AddTo(Command command)
    {
        command.Options.Add(RunsOption);
        command.Options.Add(JsonOption);
        command.Options.Add(OutOption);
    }

    public static ReportOptions Of(ParseResult result) => new(
        result.GetValue(RunsOption), result.GetValue(JsonOption), result.GetValue(OutOption));
}
