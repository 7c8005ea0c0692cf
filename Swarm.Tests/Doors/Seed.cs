using System.Globalization;
using Xunit.Abstractions;

namespace Swarm.Tests.Doors;

/// <summary>The seed of a property run: <c>SWARM_TEST_SEED</c> to repeat one, else a new one; always printed.</summary>
internal static class Seed
{
    public static int Take(ITestOutputHelper output)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("SWARM_TEST_SEED"), CultureInfo.InvariantCulture, out var named)
            ? named
            : Random.Shared.Next();
        output.WriteLine($"SWARM_TEST_SEED={seed}");
        return seed;
    }
}
