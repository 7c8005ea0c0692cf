using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Swarm.Benchmarks.Load;

/// <summary>A run's figures, and what of it was not as it must be.</summary>
/// <param name="Figures">By name; names end with their unit.</param>
/// <param name="Fault">Null when every check held.</param>
internal sealed record Run(JsonObject Figures, string? Fault = null);

/// <summary>Prints the medians of the runs as a table and, when asked, as one JSON object on the last line.</summary>
internal static class Report
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The exit code: 0 when every check of every run held.</summary>
    public static int Print(string scenario, JsonObject settings, IReadOnlyList<Run> runs, JsonObject machine, ReportOptions options)
    {
        var faults = runs.Where(r => r.Fault is not null).Select(r => r.Fault!).ToArray();
        var result = new JsonObject { ["scenario"] = scenario, ["at"] = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'") };
        AddAll(result, settings);
        result["runs"] = runs.Count;
        AddAll(result, Median([.. runs.Select(r => r.Figures)]));
        if (runs.Count > 1 && runs.All(r => r.Figures.ContainsKey("rate")))
        {
            result["rate_of_each_run"] = new JsonArray([.. runs.Select(r => r.Figures["rate"]!.DeepClone())]);
        }

        result["checks_hold"] = faults.Length == 0;
        if (faults.Length > 0)
        {
            result["faults"] = new JsonArray([.. faults.Select(f => (JsonNode)f)]);
        }

        result["machine"] = machine.DeepClone();
        PrintTable(scenario, result);
        foreach (var fault in faults)
        {
            AnsiConsole.MarkupLineInterpolated($"[red]{fault}[/]");
        }

        var line = result.ToJsonString(Plain);
        if (options.Out is { } file)
        {
            File.AppendAllText(file, line + "\n");
        }

        if (options.Json)
        {
            Console.WriteLine(line);
        }

        return faults.Length == 0 ? 0 : 1;
    }

    /// <summary>Numbers: the median; truths: whether all; the rest: of the last run.</summary>
    private static JsonObject Median(JsonObject[] runs)
    {
        var result = new JsonObject();
        foreach (var (name, last) in runs[^1])
        {
            var values = runs.Select(r => r[name]).OfType<JsonValue>().ToArray();
            result[name] = values.Length < runs.Length ? last?.DeepClone()
                : values.All(v => v.GetValueKind() == JsonValueKind.Number) ? Middle([.. values.Select(v => double.Parse(v.ToJsonString()))])
                : values.All(v => v.TryGetValue<bool>(out _)) ? values.All(v => v.GetValue<bool>())
                : last!.DeepClone();
        }

        return result;
    }

    /// <summary>The median.</summary>
    public static double Middle(double[] values)
    {
        Array.Sort(values);
        var half = values.Length / 2;
        return values.Length % 2 == 1 ? values[half] : Math.Round((values[half - 1] + values[half]) / 2, 3);
    }

    private static void PrintTable(string scenario, JsonObject result)
    {
        var table = new Table { Title = new TableTitle(scenario) };
        table.AddColumns("figure", "value");
        foreach (var (name, value) in result)
        {
            if (value is JsonObject inner)
            {
                table.AddEmptyRow();
                foreach (var (innerName, innerValue) in inner)
                {
                    table.AddRow(Markup.Escape(innerName), Markup.Escape(innerValue?.ToString() ?? ""));
                }
            }
            else if (value is JsonArray { Count: > 0 } rows && rows[0] is JsonObject)
            {
                foreach (var row in rows.OfType<JsonObject>())
                {
                    table.AddRow(Markup.Escape(name), Markup.Escape(string.Join(", ", row.Select(f => $"{f.Key} {f.Value}"))));
                }
            }
            else if (name != "scenario")
            {
                table.AddRow(Markup.Escape(name), Markup.Escape(value is JsonArray ? value.ToJsonString() : value?.ToString() ?? ""));
            }
        }

        AnsiConsole.Write(table);
    }

    private static void AddAll(JsonObject to, JsonObject from)
    {
        foreach (var (name, value) in from)
        {
            to[name] = value?.DeepClone();
        }
    }
}
