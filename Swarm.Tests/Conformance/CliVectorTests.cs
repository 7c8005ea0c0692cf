using System.Text.Json;
using Swarm.Cli.Arguments;

namespace Swarm.Tests.Conformance;

/// <summary>What the command line takes for an agent id and for a swarm id (ASP §2.2, §15).</summary>
[Shown(By.Vector)]
public sealed class CliVectorTests
{
    public static TheoryData<string, string> Vectors => VectorFile.Rows("cli-validation");

    [Theory]
    [MemberData(nameof(Vectors))]
    [Conforms("ASP-03", "ASP-04")]
    public void A_text_is_taken_in_its_normal_form_or_refused(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        // The vector does not say of which kind its ids are: their normal forms do.
        var accepted = vector.Json.GetProperty("accept").EnumerateArray().ToList();
        var isSwarm = accepted.All(item => Guid.TryParseExact(item.GetProperty("out").GetString(), "D", out _));
        Assert.All(accepted, item => Assert.Equal(item.GetProperty("out").GetString(), Normal(item.GetProperty("in").GetString()!)));
        Assert.All(vector.Json.GetProperty("reject").EnumerateArray(), item => Assert.Null(Normal(item.GetString()!)));

        string? Normal(string text) => isSwarm
            ? SwarmIdText.TryParse(text, out var swarm) ? swarm.ToString("D") : null
            : AgentNameText.TryParse(text, out var name) ? name : null;
    }
}
