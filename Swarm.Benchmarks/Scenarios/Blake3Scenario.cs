using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;
using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>How fast BLAKE3 is on one core: many chunks at once, and the short inputs of which certificates are made.</summary>
internal static class Blake3Scenario
{
    /// <summary>A fingerprint, a certificate's digest, a chunk, eight chunks, and more than any cache line cares about.</summary>
    private static readonly int[] Sizes = [92, 222, 1_024, 8_192, 65_536, 1_048_576];

    private static readonly Option<int> MillisecondsOption = Options.Number("--ms", "How long to hash each size, in milliseconds.", 500, min: 10);

    public static Command Command()
    {
        var command = new Command(
            "blake3",
            """
            Hash inputs of several sizes on one core: GB/s, and microseconds for the short ones.

            Examples:
              blake3
              blake3 --ms 2000 --runs 5 --json
              DOTNET_EnableAVX2=0 dotnet run -c Release --no-build --project Swarm.Benchmarks -- blake3
            """);
        command.Options.Add(MillisecondsOption);
        ReportOptions.AddTo(command);
        command.SetAction(result => Run(TimeSpan.FromMilliseconds(result.GetValue(MillisecondsOption)), ReportOptions.Of(result)));
        return command;
    }

    private static int Run(TimeSpan each, ReportOptions report)
    {
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            var figures = new JsonObject { ["lanes"] = Blake3.LanesMax };
            string? fault = null;
            foreach (var size in Sizes)
            {
                var input = new byte[size];
                new Random(size).NextBytes(input);
                byte[] output = new byte[Blake3.SizeBytes], scalar = new byte[Blake3.SizeBytes];
                Blake3.Run(Compression.InitialValue, Blake3.Mode.Hash, input, scalar, lanes: 1);
                var seconds = Steady.SecondsOf(each, () => Blake3.Hash(input, output));
                if (size <= 1_024)
                {
                    figures[$"bytes_{size}_us"] = Math.Round(seconds * 1e6, 3);
                }

                figures[$"bytes_{size}_gb_per_s"] = Math.Round(size / seconds / 1e9, 3);
                fault ??= output.AsSpan().SequenceEqual(scalar) ? null : $"The vectorised hash of {size} bytes is not the scalar one.";
            }

            var large = new byte[Sizes[^1]];
            var hash = new byte[Blake3.SizeBytes];
            figures["scalar_gb_per_s"] = Math.Round(
                large.Length / Steady.SecondsOf(each, () => Blake3.Run(Compression.InitialValue, Blake3.Mode.Hash, large, hash, lanes: 1)) / 1e9, 3);
            runs.Add(new(figures, fault));
        }

        return Report.Print("blake3", new() { ["ms"] = each.TotalMilliseconds }, runs, Machine.Measure(), report);
    }
}
