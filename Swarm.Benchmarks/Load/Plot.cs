using System.Text;

namespace Swarm.Benchmarks.Load;

/// <summary>A small plot of characters.</summary>
internal static class Plot
{
    private const int Width = 72;
    private const int Height = 8;

    /// <param name="title">What it shows, with the unit.</param>
    /// <param name="values">Evenly spaced; several that share a column are averaged.</param>
    public static string Draw(string title, IReadOnlyList<double> values)
    {
        if (values.Count == 0)
        {
            return title;
        }

        var width = Math.Min(Width, values.Count);
        var columns = Enumerable.Range(0, width)
            .Select(c => values.Skip(c * values.Count / width).Take(Math.Max(1, (c + 1) * values.Count / width - c * values.Count / width)).Average()).ToArray();
        var (low, high) = (Math.Floor(columns.Min()), Math.Max(Math.Ceiling(columns.Max()), Math.Floor(columns.Min()) + 1));
        var text = new StringBuilder(title).AppendLine();
        for (var row = Height - 1; row >= 0; row--)
        {
            text.Append($"{low + (high - low) * row / (Height - 1),8:0.0} |");
            foreach (var value in columns)
            {
                text.Append((int)Math.Round((value - low) / (high - low) * (Height - 1)) == row ? '*' : ' ');
            }

            text.AppendLine();
        }

        return text.ToString();
    }
}
