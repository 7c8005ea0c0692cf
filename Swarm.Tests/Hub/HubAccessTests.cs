using System.Net;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using NSec.Cryptography;
using Swarm.Tests.Infrastructure;
using SettableTime = Swarm.Tests.Doors.SettableTime;

namespace Swarm.Tests.Hub;

/// <summary>Who may call the Hub API, from where, and for whom (design §5).</summary>
[Collection(PostgresCollection.Name)]
public sealed class HubAccessTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres, time: _time);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["eve"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task No_route_answers_without_a_valid_token()
    {
        var enrolment = (await _node.Hub.PostHubAsync("/hub/v1/enrolments", new { })).Ok()["enrolment_token"].GetString();
        var routes = _node.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText!.StartsWith("/hub/", StringComparison.Ordinal))
            .SelectMany(e => e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(m => (Method: m, Path: PathOf(e.RoutePattern))))
            .ToArray();
        Assert.True(routes.Length >= 25, $"{routes.Length} routes");
        foreach (var token in new[] { null, "", "swarm_", $"swarm_{new string('A', 43)}", enrolment })
        {
            using var client = _node.ClientOf(token);
            foreach (var (method, path) in routes.Where(r => r.Path != "/hub/v1/enrol"))
            {
                var answer = await client.CallAsync(new(method), path, new StringContent("{}", null, "application/json"));
                Assert.True(answer.Status == HttpStatusCode.Unauthorized, $"{method} {path} answered {(int)answer.Status} {answer.Text}");
                Assert.Equal("unauthenticated", answer.Error);
            }
        }
    }

    [Fact]
    public async Task Only_known_hosts_and_their_own_pages_are_answered()
    {
        foreach (var (host, origin, status) in new[]
        {
            ("localhost", null, HttpStatusCode.OK),
            ("127.0.0.1:8700", "http://127.0.0.1:8700", HttpStatusCode.OK),
            ("[::1]", null, HttpStatusCode.OK),
            ("evil.example", null, HttpStatusCode.Forbidden),
            ("localhost.evil.example", null, HttpStatusCode.Forbidden),
            ("localhost", "https://evil.example", HttpStatusCode.Forbidden),
            ("localhost", "null", HttpStatusCode.Forbidden),
        })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/hub/v1/status");
            request.Headers.Host = host;
            request.Headers.TryAddWithoutValidation("Origin", origin);
            using var answer = await _node.Hub.SendAsync(request);
            Assert.True(answer.StatusCode == status, $"Host {host}, Origin {origin}: {answer.StatusCode}");
        }
    }

    [Fact]
    public async Task A_path_that_a_client_resolved_to_an_agents_folder_does_not_revoke_the_agent()
    {
        (await _node.Hub.DeleteHubAsync("/hub/v1/agents/bob/tokens/..")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await _node.Hub.GetHubAsync("/hub/v1/agents/bob")).Ok();
    }

    [Fact]
    public async Task An_agents_token_opens_its_own_agent_and_nothing_else()
    {
        using var bob = _node.ClientOf(_scene.TokenOf("bob"));
        (await bob.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok();
        (await bob.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}")).Ok();

        // Others look the same to it whether they exist or not.
        foreach (var name in new[] { "alice", "eve", "nobody" })
        {
            foreach (var path in new[] { "", "/tokens", "/inbox", "/inbox/counts", "/inbox/stream", "/outbox" })
            {
                (await bob.GetHubAsync($"/hub/v1/agents/{name}{path}")).Refused(HttpStatusCode.Forbidden, "forbidden");
            }

            (await bob.PostHubAsync($"/hub/v1/agents/{name}/inbox/lease", new { })).Refused(HttpStatusCode.Forbidden, "forbidden");
            (await bob.PostHubAsync($"/hub/v1/agents/{name}/inbox/read", new { seqs = new[] { 1 } })).Refused(HttpStatusCode.Forbidden, "forbidden");
            (await bob.PostHubAsync($"/hub/v1/agents/{name}/tokens", new { })).Refused(HttpStatusCode.Forbidden, "forbidden");
            (await bob.DeleteHubAsync($"/hub/v1/agents/{name}")).Refused(HttpStatusCode.Forbidden, "forbidden");
            var message = new { from = name, swarm_id = _scene.Swarm.Value, content = "not mine" };
            (await bob.PostHubAsync("/hub/v1/messages", message)).Refused(HttpStatusCode.Forbidden, "forbidden");
            var batch = (await bob.PostHubAsync("/hub/v1/messages/batch", new { messages = new[] { message } })).Ok();
            Assert.Equal("forbidden", batch["results"][0].GetProperty("error").GetProperty("id").GetString());
            (await bob.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = name, target = "eve" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        }

        // Its own agent does not make it an operator.
        foreach (var (method, path) in new[]
        {
            ("GET", "agents"), ("GET", "swarms"), ("GET", "stats"), ("POST", "backup"), ("POST", "enrolments"), ("POST", "agents"),
        })
        {
            var answer = await bob.CallAsync(new(method), $"/hub/v1/{path}", new StringContent("{}", null, "application/json"));
            answer.Refused(HttpStatusCode.Forbidden, "forbidden");
        }

        (await bob.DeleteHubAsync("/hub/v1/agents/bob")).Refused(HttpStatusCode.Forbidden, "forbidden");
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from messages"));
    }

    [Fact]
    public async Task A_revoked_token_ends_at_once_here_and_within_a_second_on_another_replica()
    {
        await using var other = await _node.StartReplicaAsync();
        var issued = (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/tokens", new { label = "laptop" })).Ok();
        using var here = _node.ClientOf(issued["token"].GetString());
        using var there = other.ClientOf(issued["token"].GetString());
        (await here.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok();
        (await there.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok();

        (await _node.Hub.DeleteHubAsync($"/hub/v1/agents/bob/tokens/{issued["id"].GetInt64()}")).Ok();
        (await here.GetHubAsync("/hub/v1/agents/bob/inbox")).Refused(HttpStatusCode.Unauthorized, "unauthenticated");
        await Eventually.TrueAsync(
            "the token is refused there", async () => (await there.GetHubAsync("/hub/v1/agents/bob/inbox")).Status == HttpStatusCode.Unauthorized,
            TimeSpan.FromSeconds(1));
        var listed = (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/tokens")).Ok();
        Assert.Equal([false, true], listed["tokens"].EnumerateArray().Select(t => t.GetProperty("revoked_at").ValueKind == System.Text.Json.JsonValueKind.String));
        Assert.DoesNotContain(issued["token"].GetString()!, listed.Text, StringComparison.Ordinal);

        // The other agent's token of that number is not this agent's to revoke.
        (await _node.Hub.DeleteHubAsync($"/hub/v1/agents/alice/tokens/{issued["id"].GetInt64()}")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
    }

    [Fact]
    public async Task An_enrolment_token_works_once_in_time_and_with_proof_of_the_key()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        using var other = Key.Create(SignatureAlgorithm.Ed25519);
        var token = (await _node.Hub.PostHubAsync("/hub/v1/enrolments", new { expires_in_hours = 1 })).Ok()["enrolment_token"].GetString()!;
        var late = (await _node.Hub.PostHubAsync("/hub/v1/enrolments", new { expires_in_hours = 1 })).Ok()["enrolment_token"].GetString()!;

        (await EnrolAsync(token, "judy", key, other)).Refused(HttpStatusCode.Unauthorized, "invalid-signature");
        (await EnrolAsync(token, "bob", key, key)).Refused(HttpStatusCode.Conflict, "name-taken");
        var enrolled = (await EnrolAsync(token, "judy", key, key)).Ok();
        Assert.Equal(("external", "judy"), (enrolled["kind"].GetString(), enrolled["name"].GetString()));
        (await _node.ClientOf(enrolled["token"].GetString()).GetHubAsync("/hub/v1/agents/judy/inbox")).Ok();
        (await EnrolAsync(token, "judith", key, key)).Refused(HttpStatusCode.Unauthorized, "unauthenticated");

        _time.Now += TimeSpan.FromHours(2);
        (await EnrolAsync(late, "judith", key, key)).Refused(HttpStatusCode.Unauthorized, "unauthenticated");
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from agents where name = 'judith'"));
    }

    private Task<Answer> EnrolAsync(string token, string name, Key key, Key prover) => _node.Http.PostHubAsync(
        "/hub/v1/enrol",
        new
        {
            enrolment_token = token,
            name,
            public_key = Convert.ToBase64String(key.PublicKey.Export(KeyBlobFormat.RawPublicKey)),
            proof = Convert.ToBase64String(SignatureAlgorithm.Ed25519.Sign(prover, System.Text.Encoding.UTF8.GetBytes($"swarm-enrol-v1\n{token}\n{name}"))),
        });

    private static string PathOf(RoutePattern pattern) =>
        "/" + string.Join('/', pattern.PathSegments.Select(s => s.Parts[0] is RoutePatternLiteralPart literal ? literal.Content : "1"));
}
