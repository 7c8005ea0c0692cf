using System.Text.Json;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Messaging;

namespace Swarm.Tests.Conformance;

/// <summary>The table of notification levels (ASP §11.2).</summary>
[Shown(By.Vector)]
public sealed class WakeVectorTests
{
    public static TheoryData<string, string> Tables => VectorFile.Rows("wake-level-table");

    [Theory]
    [MemberData(nameof(Tables))]
    [Conforms("ASP-76", "ASP-77")]
    public void Each_row_gives_the_level_that_the_table_says(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        foreach (var row in vector.Json.GetProperty("rows").EnumerateArray())
        {
            var input = row.GetProperty("input");
            var level = WakeRules.Evaluate(
                Preferences(row.GetProperty("preferences")),
                new(
                    Text(input, "sender_id", "bob"), Guid.Parse(Text(input, "swarm_id", "550e8400-e29b-41d4-a716-446655440000")),
                    Text(input, "content", "hello"), Flag(input, "is_system_message") ? MessageKind.System : MessageKind.Message,
                    Flag(input, "is_high_priority") ? Priority.High : Priority.Normal, Flag(input, "is_direct_mention"),
                    input.TryGetProperty("current_hour", out var hour) ? hour.GetInt32() : 12));
            Assert.Equal($"{row}: {row.GetProperty("level").GetString()}", $"{row}: {level.ToString().ToLowerInvariant()}");
        }
    }

    [Fact]
    [Conforms("ASP-77")]
    public void Kinds_priorities_and_addressing_say_what_wakes_at_all()
    {
        var system = new WakeInput("bob", Guid.NewGuid(), "hello", MessageKind.System, Priority.High, IsDirect: true, Hour: 12);
        Assert.Equal(WakeLevel.Normal, WakeRules.Evaluate(WakePreferences.Default, system));
        Assert.Equal(WakeLevel.Silent, WakeRules.Evaluate(new() { Kinds = [MessageKind.Message] }, system));
        Assert.Equal(WakeLevel.Normal, WakeRules.Evaluate(new() { Kinds = [MessageKind.System] }, system));
        Assert.Equal(WakeLevel.Silent, WakeRules.Evaluate(new() { Priorities = [Priority.Low, Priority.Normal] }, system));
        Assert.Equal(WakeLevel.Silent, WakeRules.Evaluate(new() { Addressing = WakeAddressing.Broadcast }, system));
        Assert.Equal(WakeLevel.Normal, WakeRules.Evaluate(new() { Addressing = WakeAddressing.Direct }, system));
        Assert.Equal(WakeLevel.Silent, WakeRules.Evaluate(new() { Addressing = WakeAddressing.Direct }, system with { IsDirect = false }));
    }

    [Theory]
    [InlineData("""{"watched_keywords":[""]}""")]
    [InlineData("""{"watched_agents":["not an id"]}""")]
    [InlineData("""{"quiet_hours":{"start":24,"end":1}}""")]
    [InlineData("""{"quiet_hours":{"start":0,"end":-1}}""")]
    [InlineData("""{"coalesce_seconds":3601}""")]
    [Conforms("ASP-77")]
    public void Preferences_outside_their_limits_are_refused(string json) => Assert.Throws<Core.SwarmException>(
        () => JsonSerializer.Deserialize(json, WakeJson.Default.WakePreferences)!.Check());

    [Fact]
    [Conforms("ASP-77")]
    public void Preferences_at_their_limits_are_taken()
    {
        new WakePreferences
        {
            WatchedAgents = [.. Enumerable.Range(0, WakePreferences.ListMax).Select(i => $"agent-{i}")],
            WatchedKeywords = [new string('x', WakePreferences.KeywordLengthMax)],
            QuietHours = new(0, 23),
            CoalesceSeconds = WakePreferences.CoalesceSecondsMax,
        }.Check();
        Assert.Throws<Core.SwarmException>(
            () => new WakePreferences { WatchedAgents = [.. Enumerable.Range(0, WakePreferences.ListMax + 1).Select(i => $"agent-{i}")] }.Check());
        Assert.Throws<Core.SwarmException>(() => new WakePreferences { WatchedKeywords = [new string('x', WakePreferences.KeywordLengthMax + 1)] }.Check());
    }

    /// <summary>The vector writes quiet hours as a pair.</summary>
    private static WakePreferences Preferences(JsonElement json)
    {
        var node = System.Text.Json.Nodes.JsonNode.Parse(json.GetRawText())!.AsObject();
        if (node["quiet_hours"] is System.Text.Json.Nodes.JsonArray pair)
        {
            node["quiet_hours"] = new System.Text.Json.Nodes.JsonObject { ["start"] = pair[0]!.GetValue<int>(), ["end"] = pair[1]!.GetValue<int>() };
        }

        return JsonSerializer.Deserialize(node.ToJsonString(), WakeJson.Default.WakePreferences)!;
    }

    private static bool Flag(JsonElement json, string name) => json.TryGetProperty(name, out var flag) && flag.GetBoolean();

    private static string Text(JsonElement json, string name, string absent) => json.TryGetProperty(name, out var text) ? text.GetString()! : absent;
}
