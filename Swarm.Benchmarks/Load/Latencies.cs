using System.Text.Json.Nodes;

namespace Swarm.Benchmarks.Load;

/// <summary>Latencies in milliseconds, sorted.</summary>
internal sealed class Latencies
{
    private readonly double[] _sorted;

    public Latencies(IEnumerable<double> ms)
    {
        _sorted = [.. ms];
        Array.Sort(_sorted);
    }

    public int Count => _sorted.Length;

    public double Max => _sorted.Length == 0 ? 0 : _sorted[^1];

    public double Percentile(double p) => _sorted.Length == 0 ? 0 : _sorted[(int)Math.Min(_sorted.Length - 1, _sorted.Length * p)];

    /// <summary>Writes p50, p99, p99.9 and the maximum, each name led by <paramref name="prefix"/>.</summary>
    public void AddTo(JsonObject figures, string prefix = "")
    {
        figures[$"{prefix}p50_ms"] = Math.Round(Percentile(0.50), 3);
        figures[$"{prefix}p99_ms"] = Math.Round(Percentile(0.99), 3);
        figures[$"{prefix}p99_9_ms"] = Math.Round(Percentile(0.999), 3);
        figures[$"{prefix}max_ms"] = Math.Round(Max, 3);
    }
}
