using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Conformance;

/// <summary>The way over from a reference installation and back (ASP §13), by the vectors.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Vector)]
public sealed class StateVectorTests(PostgresFixture postgres)
{
    public static TheoryData<string, string> Taken => VectorFile.Rows("state-import-export");

    public static TheoryData<string, string> Refused => VectorFile.Rows("state-import-reject");

    [Theory]
    [MemberData(nameof(Taken))]
    [Conforms("ASP-85", "ASP-86")]
    public async Task What_is_imported_is_exported_member_for_member(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await using var node = await NodeHost.StartAsync(postgres);
        var state = vector.Json.GetProperty("import_state");
        var name = state.GetProperty("agent_id").GetString()!;
        await CreateAsync(node, vector, name);
        (await node.Hub.PostHubAsync($"/hub/v1/agents/{name}/import", state)).Ok();
        var exported = (await node.Hub.GetHubAsync($"/hub/v1/agents/{name}/export")).Ok().Json;
        Assert.True(DateTimeOffset.TryParse(exported.GetProperty("exported_at").GetString(), out _));
        Assert.Equal(Text(vector.Expect.GetProperty("export")), Text(exported));

        // What was exported is taken again, in place of what is there and beside it.
        foreach (var mode in new[] { "", "?merge=true" })
        {
            (await node.Hub.PostHubAsync($"/hub/v1/agents/{name}/import{mode}", exported)).Ok();
            Assert.Equal(Text(exported), Text((await node.Hub.GetHubAsync($"/hub/v1/agents/{name}/export")).Ok().Json));
        }
    }

    [Theory]
    [MemberData(nameof(Refused))]
    [Conforms("ASP-86", "ASP-87")]
    public async Task What_is_not_understood_is_refused_and_changes_nothing(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await using var node = await NodeHost.StartAsync(postgres);
        await CreateAsync(node, vector, "alice");
        (await node.Hub.PostHubAsync("/hub/v1/agents/alice/import", VectorFile.Published.Base("STATE-01").Json.GetProperty("import_state"))).Ok();
        var before = Text((await node.Hub.GetHubAsync("/hub/v1/agents/alice/export")).Json);
        var answer = await node.Hub.PostHubAsync("/hub/v1/agents/alice/import", vector.Json.GetProperty("import_state"));
        Assert.Equal(422, (int)answer.Status);
        Assert.Equal(vector.Expect.GetProperty("error").GetString(), answer["detail"].GetString());
        Assert.Equal(before, Text((await node.Hub.GetHubAsync("/hub/v1/agents/alice/export")).Json));
    }

    private static async Task CreateAsync(NodeHost node, Vector vector, string name)
    {
        var key = vector.File.Key(name);
        (await node.Hub.PostHubAsync(
            "/hub/v1/agents", new { name, endpoint = key.Endpoint, private_key = Convert.ToBase64String(key.Seed), @default = true })).Ok();
    }

    /// <summary>With its members in their order, and without the time of the export.</summary>
    private static string Text(JsonElement export)
    {
        var json = JsonNode.Parse(export.GetRawText())!.AsObject();
        json["exported_at"] = "<now>";
        return json.ToJsonString();
    }
}
