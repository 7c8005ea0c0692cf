using System.Collections.Concurrent;
using System.Text;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;

namespace Swarm.Tests.Doors;

/// <summary>
/// Ten thousand requests from a printed seed, at least half of them valid signed messages of a member with one mutation. Each gets an
/// answer that the protocol has for it, never a 500, and exactly what was answered 200 for the first time has rows.
/// </summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class MessagePropertyTests(PostgresFixture postgres, ITestOutputHelper output)
{
    private const int Cases = 10_000;
    private const int CasesPerCount = 250;

    [Fact]
    [Conforms("ASP-09", "ASP-29", "ASP-30", "ASP-42", "ASP-43")]
    [Refuses("W-01", "W-25")]
    public async Task No_input_gives_a_500_and_no_refusal_leaves_a_row()
    {
        var seed = Seed.Take(output);
        await using var world = await DoorWorld.StartAsync(postgres);
        var mutations = new MessageMutations(seed, world.Swarm, "alice", "bob", world.Bob, DoorWorld.Now);
        var stages = new ConcurrentDictionary<string, int>();
        var accepted = new HashSet<string>();
        var memberMessages = 0;
        for (var done = 0; done < Cases; done += CasesPerCount)
        {
            var before = await world.Node.CountRowsAsync();
            var acceptedBefore = accepted.Count;
            for (var i = done; i < done + CasesPerCount; i++)
            {
                var mutated = mutations.Next();
                memberMessages += mutated.IsMemberMessage ? 1 : 0;
                var answer = await world.Http.PostAsync("/agents/alice/swarm/message", mutated.Body, mutated.ContentType);
                Assert.True(
                    mutated.Allowed.Contains(answer.Code),
                    $"case {i} of seed {seed} ({mutated.Name}) was answered {answer.Code} {answer.Text} for {Encoding.UTF8.GetString(mutated.Body.AsSpan(0, Math.Min(2000, mutated.Body.Length)))}");
                if (answer.Code == 200)
                {
                    accepted.Add(answer.Json.GetProperty("message_id").GetString()!.ToLowerInvariant());
                }

                stages.AddOrUpdate(StageOf(answer), 1, (_, count) => count + 1);
            }

            var after = new SortedDictionary<string, long>((await world.Node.CountRowsAsync()).ToDictionary(), StringComparer.Ordinal);
            foreach (var table in new[] { "messages", "message_ids", "deliveries" })
            {
                after[table] -= accepted.Count - acceptedBefore;
            }

            Assert.Equal(before, after);
        }

        foreach (var (stage, count) in stages.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            output.WriteLine($"{stage,-32} {count,6}");
        }

        output.WriteLine($"{memberMessages} of {Cases} were signed messages of a member with at most one mutation");
        Assert.InRange(memberMessages, Cases / 2, Cases);
        Assert.Equal(
            ["1 refused: shape", "2 refused: time", "3 refused: swarm", "4 refused: sender", "5 refused: signature", "6 refused: recipient", "7 refused: id reused", "8 answered 200"],
            stages.Keys.Order(StringComparer.Ordinal));
    }

    /// <summary>The last stage that a message reached.</summary>
    private static string StageOf(DoorAnswer answer) => (answer.Code, answer.Text) switch
    {
        (422, _) => "1 refused: shape",
        (400, _) => "2 refused: time",
        (404, _) => "3 refused: swarm",
        (403, var text) when text.Contains("not a member", StringComparison.Ordinal) => "4 refused: sender",
        (401, _) => "5 refused: signature",
        (403, _) => "6 refused: recipient",
        (409, _) => "7 refused: id reused",
        (200, _) => "8 answered 200",
        _ => $"9 answered {answer.Code}",
    };
}
