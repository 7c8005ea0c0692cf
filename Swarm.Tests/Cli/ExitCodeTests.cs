using Swarm.Cli;
using Swarm.Tests.Client;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Cli;

[Shown(By.Wire)]
public sealed class ExitCodeTests : IDisposable
{
    private const string Id = CliTests.SwarmId;

    private const string Jwt = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzd2FybV9pZCI6IjU1MGU4NDAwLWUyOWItNDFkNC1hNzE2LTQ0NjY1NTQ0MDAwMCJ9.c2ln";

    private readonly CliRun cli = new() { Variables = { ["SWARM_AGENT"] = "alice", ["SWARM_TOKEN"] = "t" } };

    [Theory]
    [InlineData(3, 503, "unavailable", "list")]
    [InlineData(3, 429, "rate-limited", "list")]
    [InlineData(3, 500, "unknown", "list")]
    [InlineData(4, 401, "unauthenticated", "list")]
    [InlineData(4, 403, "forbidden", "list")]
    [InlineData(4, 403, "something-new", "list")]
    [InlineData(5, 404, "something-new", "list")]
    [InlineData(1, 409, "something-new", "list")]
    [InlineData(1, 409, "name-taken", "init -a alice")]
    [InlineData(2, 400, "invalid-name", "init -a broadcast")]
    [InlineData(2, 400, "invalid-name", "create -n x")]
    [InlineData(1, 403, "not-master", "invite -s " + Id)]
    [InlineData(5, 404, "unknown-swarm", "invite -s " + Id)]
    [InlineData(4, 400, "invalid-token", "join -t swarm://x")]
    [InlineData(1, 401, "token-signature", "join -t swarm://x")]
    [InlineData(1, 502, "peer-unreachable", "join -t swarm://x")]
    [InlineData(4, 400, "token-expired", "join -t swarm://x")]
    [InlineData(4, 400, "token-exhausted", "join -t swarm://x")]
    [InlineData(4, 400, "token-revoked", "join -t swarm://x")]
    [InlineData(1, 404, "unknown-swarm", "join -t swarm://x")]
    [InlineData(5, 404, "unknown-swarm", "leave -y -s " + Id)]
    [InlineData(5, 409, "master-may-not-leave", "leave -y -s " + Id)]
    [InlineData(1, 403, "not-a-member", "leave -y -s " + Id)]
    [InlineData(4, 403, "not-master", "kick -a bob -y -s " + Id)]
    [InlineData(5, 404, "unknown-swarm", "kick -a bob -y -s " + Id)]
    [InlineData(5, 404, "not-a-member", "kick -a bob -y -s " + Id)]
    [InlineData(2, 409, "may-not-kick-oneself", "kick -a alice -y -s " + Id)]
    [InlineData(5, 404, "unknown-swarm", "send -m x -s " + Id)]
    [InlineData(5, 403, "not-a-member", "send -m x -s " + Id)]
    [InlineData(3, 404, "unknown-agent", "send -m x -t bob -s " + Id)]
    [InlineData(3, 400, "wrong-recipient", "send -m x -t bob -s " + Id)]
    [InlineData(2, 413, "content-too-long", "send -m x -s " + Id)]
    [InlineData(5, 404, "unknown-agent", "agent show bob")]
    [InlineData(4, 403, "forbidden", "backup")]
    [InlineData(5, 404, "unknown-message", "messages --archive " + Id)]
    [InlineData(1, 409, "wrong-status", "messages --archive " + Id)]
    [InlineData(1, 404, "unknown-message", "messages --delete " + Id)]
    [InlineData(3, 503, "unavailable", "messages --count")]
    [InlineData(3, 503, "unavailable", "messages --archive-all")]
    [InlineData(3, 503, "unavailable", "sent --count")]
    [InlineData(4, 403, "forbidden", "purge --messages -y")]
    [InlineData(4, 403, "forbidden", "export")]
    [InlineData(5, 404, "unknown-agent", "config")]
    [InlineData(4, 403, "not-master", "approve -s " + Id)]
    [InlineData(5, 404, "unknown-request", "approve -a bob -s " + Id)]
    [InlineData(4, 403, "not-master", "transfer -a bob -y -s " + Id)]
    [InlineData(4, 409, "transfer-declined", "transfer -a bob -y -s " + Id)]
    [InlineData(5, 404, "not-a-member", "transfer -a bob -y -s " + Id)]
    [InlineData(4, 403, "not-master", "dissolve -y -s " + Id)]
    [InlineData(5, 404, "unknown-swarm", "dissolve -y -s " + Id)]
    [InlineData(4, 403, "not-master", "revoke -t " + Jwt)]
    [InlineData(5, 404, "unknown-swarm", "revoke -t " + Jwt)]
    [Conforms("ASP-93", "ASP-95")]
    public async Task Each_refusal_has_its_exit_code_and_its_words(int exitCode, int status, string error, string command)
    {
        await using var peer = await HubPeer.StartAsync(
            (context, _, _) => HubPeer.ProblemAsync(context, status, error, "In the node's words."));
        Assert.Equal(exitCode, await cli.RunAsync(peer.Url, command.Split(' ')));
        Assert.StartsWith("Error: ", cli.Error, StringComparison.Ordinal);
        Assert.Equal(exitCode, await cli.RunAsync(peer.Url, [.. command.Split(' '), "--json"]));
        Assert.Equal(exitCode, cli.Json["exit_code"]!.GetValue<int>());
        Assert.Equal(["status", "error", "exit_code"], cli.Json.AsObject().Select(member => member.Key).Take(3));
    }

    [Theory]
    [InlineData("init -a alice")]
    [InlineData("create -n x")]
    [InlineData("join -t swarm://x")]
    [InlineData("list")]
    [InlineData("send -m x -s " + Id)]
    [InlineData("messages")]
    [InlineData("inbox --follow")]
    [InlineData("status")]
    [InlineData("backup")]
    public async Task A_node_that_is_not_there_is_exit_3_and_says_how_to_start_it(string command)
    {
        Uri url;
        await using (var peer = await HubPeer.StartAsync(200, "{}"))
        {
            url = peer.Url;
        }

        Assert.Equal(ExitCode.Network, await cli.RunAsync(url, command.Split(' ')));
        Assert.Contains("./run.sh", cli.Error, StringComparison.Ordinal);
        cli.Variables.Remove("SWARM_TOKEN"); // Also when there is no token either.
        Assert.Equal(ExitCode.Network, await cli.RunAsync(url, command.Split(' ')));
    }

    [Fact]
    public async Task A_pending_join_is_exit_1()
    {
        await using var peer = await HubPeer.StartAsync(
            200, $$"""{"status":"pending","swarm_id":"{{Id}}","name":"n","master":"m","member_count":1}""");
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, "join", "-t", "swarm://x"));
    }

    [Fact]
    public async Task A_node_that_answers_with_something_else_is_exit_3()
    {
        await using var peer = await HubPeer.StartAsync(200, "<html>a login page</html>");
        Assert.Equal(ExitCode.Network, await cli.RunAsync(peer.Url, "list"));
    }

    [Fact]
    public async Task A_doctor_that_finds_a_failure_exits_1()
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.JsonAsync(context, 503, """{"status":"unhealthy"}"""));
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, "doctor", "--json"));
        Assert.Equal("fail", cli.Json["status"]!.GetValue<string>());
    }

    public void Dispose() => cli.Dispose();
}
