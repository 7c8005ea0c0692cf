using System.Net;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Storage;

/// <summary>What a start is told by its environment (ASP §16): everything that is missing at once, and a reference server's variables.</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class StartSettingsTests(PostgresFixture postgres) : IDisposable
{
    private static readonly VectorKey Alice = VectorFile.Published.Key("alice");

    private readonly string _seed = Path.GetTempFileName();

    public void Dispose() => File.Delete(_seed);

    [Theory]
    [InlineData("1", true, true)]
    [InlineData("true", true, true)]
    [InlineData(" YES ", true, true)]
    [InlineData("0", true, false)]
    [InlineData("False", true, false)]
    [InlineData("no", true, false)]
    [InlineData("", false, false)]
    [InlineData(null, false, false)]
    [InlineData("on", false, false)]
    [InlineData("2", false, false)]
    [Conforms("ASP-97")]
    public void A_boolean_is_one_of_six_words_in_any_case(string? text, bool isOne, bool value) =>
        Assert.Equal((isOne, value), (ReferenceEnvironment.TryBoolean(text, out var read), read));

    [Fact]
    [Conforms("ASP-97")]
    public async Task A_start_names_everything_that_is_missing_at_once()
    {
        await using var node = NodeProcess.Create("", masterKey: "", environment: new Dictionary<string, string?>
        {
            ["Swarm__DataFolder"] = "",
            ["AgentSwarm__ReferenceEnvironment"] = "yes",
            ["AGENT_ENDPOINT"] = "http://alice.example.com",
            ["WAKE_EP_ENABLED"] = "true",
            ["WAKE_EP_INVOKE_METHOD"] = "tmux",
            ["RATE_LIMIT_MESSAGES_PER_MINUTE"] = "many",
        });
        var (code, output) = await node.RunApiToItsEndAsync();
        Assert.Equal(1, code);
        foreach (var missing in new[]
        {
            "ConnectionStrings:swarm is not set", "Swarm:MasterKey is missing or too short", "Swarm:DataFolder is not set", "AGENT_ID is not set",
            "AGENT_PUBLIC_KEY is not set", "AGENT_ENDPOINT does not begin with https://", "AgentSwarm:Wake:TmuxTarget must name",
            "RATE_LIMIT_MESSAGES_PER_MINUTE is not a whole number",
        })
        {
            Assert.Contains("  - " + missing, output, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("Unhandled", output, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-97")]
    public async Task The_variables_of_a_reference_server_make_its_agent_and_its_settings()
    {
        await File.WriteAllBytesAsync(_seed, Alice.Seed);
        var settings = Variables();
        settings["AGENT_NAME"] = "Alice";
        settings["AGENT_PRIVATE_KEY_PATH"] = _seed;
        settings["WAKE_EP_ENABLED"] = "Yes";
        settings["WAKE_EP_SECRET"] = "open sesame";
        settings["WAKE_EP_SESSION_TIMEOUT"] = "5";
        settings["AgentSwarm:Wake:SessionTimeoutMinutes"] = "7";
        await using var node = await NodeHost.StartAsync(postgres, settings: settings);
        var agent = (await node.Hub.GetHubAsync("/hub/v1/agents/alice")).Ok();
        Assert.Equal(
            ("hosted", Alice.Endpoint, Alice.PublicKeyText, "Alice", true),
            (agent["kind"].GetString(), agent["endpoint"].GetString(), agent["public_key"].GetString(), agent["display_name"].GetString(),
                agent["default"].GetBoolean()));
        Assert.Equal(Alice.PublicKeyText, (await node.Http.GetHubAsync("/swarm/info"))["public_key"].GetString());

        var options = node.Get<Microsoft.Extensions.Options.IOptions<AgentSwarmOptions>>().Value.Wake;
        Assert.Equal((true, "open sesame", 7), (options.Enabled, options.Secret, options.SessionTimeoutMinutes));
        var body = new { message_id = Guid.NewGuid(), swarm_id = Guid.NewGuid(), sender_id = "bob", notification_level = "normal" };
        Assert.Equal(HttpStatusCode.Forbidden, (await node.Http.PostHubAsync("/api/wake", body)).Status);

        // Another start finds it there.
        await using var replica = await node.StartReplicaAsync();
        Assert.Equal(1, await node.ScalarAsync<long>("select count(*) from agents"));
    }

    [Fact]
    [Conforms("ASP-97")]
    public async Task Without_its_private_key_the_agent_signs_for_itself()
    {
        await using var node = await NodeHost.StartAsync(postgres, settings: Variables());
        Assert.Equal("external", (await node.Hub.GetHubAsync("/hub/v1/agents/alice")).Ok()["kind"].GetString());
        Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from agents where sealed_seed is not null"));
    }

    [Fact]
    [Conforms("ASP-97")]
    public async Task Unless_they_are_asked_for_the_variables_mean_nothing()
    {
        var settings = Variables();
        settings["AgentSwarm:ReferenceEnvironment"] = "false";
        settings["WAKE_EP_ENABLED"] = "true";
        await using var node = await NodeHost.StartAsync(postgres, settings: settings);
        Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from agents"));
        Assert.False(node.Get<Microsoft.Extensions.Options.IOptions<AgentSwarmOptions>>().Value.Wake.Enabled);
    }

    [Fact]
    [Conforms("ASP-97")]
    public async Task A_key_that_is_not_the_agents_stops_the_start()
    {
        await File.WriteAllBytesAsync(_seed, RandomNumberGenerator.GetBytes(32));
        var environment = Variables().ToDictionary(v => v.Key.Replace(":", "__", StringComparison.Ordinal), v => (string?)v.Value);
        environment["AGENT_PRIVATE_KEY_PATH"] = _seed;
        environment["WAKE_EP_ENABLED"] = "perhaps";
        await using var node = NodeProcess.Create(await postgres.CreateDatabaseAsync(), environment: environment);
        var (code, output) = await node.RunApiToItsEndAsync();
        Assert.Equal(1, code);
        Assert.Contains("Error: AGENT_PUBLIC_KEY is not the key of AGENT_PRIVATE_KEY_PATH", output, StringComparison.Ordinal);
        Assert.Contains("Warning: WAKE_EP_ENABLED is neither", output, StringComparison.Ordinal);
    }

    private static Dictionary<string, string> Variables() => new()
    {
        ["AgentSwarm:ReferenceEnvironment"] = "true", ["AGENT_ID"] = "alice", ["AGENT_ENDPOINT"] = Alice.Endpoint, ["AGENT_PUBLIC_KEY"] = Alice.PublicKeyText,
    };
}
