using System.Diagnostics;

namespace Swarm.Benchmarks.Load;

/// <summary>Times what takes microseconds, again and again on one thread.</summary>
internal static class Steady
{
    private static readonly TimeSpan Window = TimeSpan.FromMilliseconds(1);

    /// <summary>Seconds that one call of each takes, measured in turns, so that what disturbs one disturbs the others.</summary>
    /// <remarks>
    /// The value that a tenth of the short windows stay below: on a shared machine the others lose their core, or its other half, to somebody else, and
    /// a mean or a median would say more about the neighbours.
    /// </remarks>
    public static double[] SecondsOf(TimeSpan duration, params Action[] works)
    {
        var calls = Array.ConvertAll(works, work => CallsOfWindow(work, duration / 5));
        var windows = Array.ConvertAll(works, _ => new List<double>());
        var startedAt = Stopwatch.GetTimestamp();
        do
        {
            for (var i = 0; i < works.Length; i++)
            {
                windows[i].Add(SecondsOf(works[i], calls[i]) / calls[i]);
            }
        }
        while (Stopwatch.GetElapsedTime(startedAt) < duration * works.Length);
        return Array.ConvertAll(windows, of => of.Order().ElementAt(of.Count / 10));
    }

    public static double SecondsOf(TimeSpan duration, Action work) => SecondsOf(duration, [work])[0];

    /// <summary>Warms up, and finds how many calls fill a window.</summary>
    private static int CallsOfWindow(Action work, TimeSpan warmUp)
    {
        var calls = 1;
        var startedAt = Stopwatch.GetTimestamp();
        while (true)
        {
            var seconds = SecondsOf(work, calls);
            if (Stopwatch.GetElapsedTime(startedAt) > warmUp)
            {
                return Math.Max(1, (int)(calls * Window.TotalSeconds / seconds));
            }

            calls = seconds < Window.TotalSeconds ? calls * 2 : Math.Max(1, calls / 2);
        }
    }

    private static double SecondsOf(Action work, int calls)
    {
        var startedAt = Stopwatch.GetTimestamp();
        for (var i = 0; i < calls; i++)
        {
            work();
        }

        return Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
    }
}
