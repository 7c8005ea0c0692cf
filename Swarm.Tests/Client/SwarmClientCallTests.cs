using System.Text.Json;
using Swarm.Client;

namespace Swarm.Tests.Client;

public sealed class SwarmClientCallTests
{
    private const string Sent =
        """{"status":"accepted","message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"550e8400-e29b-41d4-a716-446655440000","recipient":"bob","recipients":1}""";

    private static readonly OutgoingMessage Message =
        new() { From = "alice", SwarmId = Guid.Parse("550e8400-e29b-41d4-a716-446655440000"), To = "bob", Content = "Hi 👩‍💻 שלום" };

    [Fact]
    public async Task A_send_puts_the_contracts_bytes_on_the_wire()
    {
        await using var peer = await HubPeer.StartAsync(200, Sent);
        using var client = Client(peer.Url);
        var result = await client.SendAsync(Message with { ExpiresAt = DateTimeOffset.Parse("2026-12-31T18:00:00.5+02:00") });
        Assert.Equal(("accepted", "bob", 1), (result.Status, result.Recipient, result.Recipients));
        var request = Assert.Single(peer.Seen);
        Assert.Equal("POST /hub/v1/messages", request.ToString());
        Assert.Equal("Bearer secret", request["Authorization"]);
        Assert.Equal("application/json", request["Content-Type"]);
        Assert.Equal(
            """{"from":"alice","swarm_id":"550e8400-e29b-41d4-a716-446655440000","to":"bob","content":"Hi 👩‍💻 שלום","expires_at":"2026-12-31T16:00:00.500Z"}""",
            request.Body);
    }

    [Theory]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    public async Task A_send_is_tried_again_with_the_same_key_and_bytes(int status)
    {
        await using var peer = await HubPeer.StartAsync((context, _, number) =>
            number < 3 ? HubPeer.ProblemAsync(context, status, "too-busy", "Busy.") : HubPeer.JsonAsync(context, 200, Sent));
        using var client = Client(peer.Url);
        await client.SendAsync(Message);
        Assert.Equal(3, peer.Seen.Count);
        Assert.Single(peer.Seen.Select(request => request["Idempotency-Key"]).Distinct());
        Assert.Single(peer.Seen.Select(request => request.Body).Distinct());
        Assert.NotNull(peer.Seen[0]["Idempotency-Key"]);
    }

    [Fact]
    public async Task Two_sends_have_two_keys_unless_the_caller_gives_one()
    {
        await using var peer = await HubPeer.StartAsync(200, Sent);
        using var client = Client(peer.Url);
        await client.SendAsync(Message);
        await client.SendAsync(Message);
        await client.SendAsync(Message, idempotencyKey: "mine");
        var keys = peer.Seen.Select(request => request["Idempotency-Key"]).ToList();
        Assert.Equal(3, keys.Distinct().Count());
        Assert.Equal("mine", keys[2]);
    }

    [Fact]
    public async Task A_send_whose_connection_breaks_is_tried_again()
    {
        await using var peer = await HubPeer.StartAsync((context, _, number) =>
        {
            if (number == 1)
            {
                context.Abort();
                return Task.CompletedTask;
            }

            return HubPeer.JsonAsync(context, 200, Sent);
        });
        using var client = Client(peer.Url);
        await client.SendAsync(Message);
        Assert.Equal(2, peer.Seen.Count);
    }

    [Fact]
    public async Task What_may_not_happen_twice_is_not_tried_again()
    {
        await using var peer = await HubPeer.StartAsync((context, _, number) =>
        {
            if (number % 2 == 1)
            {
                context.Abort();
                return Task.CompletedTask;
            }

            return HubPeer.ProblemAsync(context, 503, "too-busy", "Busy.");
        });
        using var client = Client(peer.Url);
        await Assert.ThrowsAsync<SwarmConnectionException>(() => client.CreateAgentAsync(new NewAgent { Name = "alice" }));
        await Assert.ThrowsAsync<SwarmApiException>(() => client.CreateAgentAsync(new NewAgent { Name = "alice" }));
        await Assert.ThrowsAsync<SwarmConnectionException>(() => client.SendBatchAsync([Message]));
        await Assert.ThrowsAsync<SwarmApiException>(() => client.LeaseAsync("alice"));
        Assert.Equal(4, peer.Seen.Count);
    }

    [Theory]
    [InlineData(400, "invalid-request")]
    [InlineData(401, "unauthenticated")]
    [InlineData(409, "message-id-reused")]
    [InlineData(429, "rate-limited")]
    [InlineData(500, "internal")]
    public async Task A_refusal_is_thrown_at_once_with_its_id_status_and_detail(int status, string id)
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) =>
        {
            context.Response.Headers.RetryAfter = "7";
            return HubPeer.ProblemAsync(context, status, id, "In words.");
        });
        using var client = Client(peer.Url);
        var refusal = await Assert.ThrowsAsync<SwarmApiException>(() => client.SendAsync(Message));
        Assert.Equal(
            (id, status, "In words.", TimeSpan.FromSeconds(7)), (refusal.ErrorId, refusal.Status, refusal.Detail, refusal.RetryAfter));
        Assert.Single(peer.Seen);
    }

    [Fact]
    public async Task A_wait_that_is_too_long_is_reported_and_not_waited_for()
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) =>
        {
            context.Response.Headers.RetryAfter = "31";
            return HubPeer.ProblemAsync(context, 503, "unavailable", "Later.");
        });
        using var client = Client(peer.Url);
        var refusal = await Assert.ThrowsAsync<SwarmApiException>(() => client.SendAsync(Message));
        Assert.Equal(TimeSpan.FromSeconds(31), refusal.RetryAfter);
        Assert.Single(peer.Seen);
    }

    [Fact]
    public async Task An_answer_that_is_no_problem_document_still_tells_its_status()
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.JsonAsync(context, 404, "<html>not here</html>"));
        using var client = Client(peer.Url);
        var refusal = await Assert.ThrowsAsync<SwarmApiException>(() => client.GetStatusAsync());
        Assert.Equal((SwarmApiException.UnknownErrorId, 404), (refusal.ErrorId, refusal.Status));
    }

    [Fact]
    public async Task A_redirect_is_not_followed_because_it_would_carry_the_token_away()
    {
        await using var other = await HubPeer.StartAsync(200, Sent);
        await using var peer = await HubPeer.StartAsync((context, _, _) =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = other.Url + "hub/v1/messages";
            return Task.CompletedTask;
        });
        using var client = Client(peer.Url);
        await Assert.ThrowsAsync<SwarmApiException>(() => client.SendAsync(Message));
        Assert.Empty(other.Seen);
    }

    [Fact]
    public async Task Half_a_surrogate_pair_is_refused_before_anything_is_sent()
    {
        await using var peer = await HubPeer.StartAsync(200, Sent);
        using var client = Client(peer.Url);
        await Assert.ThrowsAsync<ArgumentException>(() => client.SendAsync(Message with { Content = "a\ud83d" }));
        await Assert.ThrowsAsync<ArgumentException>(() => client.SendBatchAsync([Message, Message with { Content = "\udc00" }]));
        Assert.Empty(peer.Seen);
    }

    [Fact]
    public async Task Nobody_there_is_a_connection_error_and_not_an_answer()
    {
        Uri url;
        await using (var peer = await HubPeer.StartAsync(200, Sent))
        {
            url = peer.Url;
        }

        using var client = Client(url);
        await Assert.ThrowsAsync<SwarmConnectionException>(() => client.SendAsync(Message));
    }

    [Fact]
    public async Task A_node_that_does_not_answer_in_time_is_a_connection_error()
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.UntilAbortedAsync(context));
        using var client = new SwarmClient(
            new SwarmClientOptions { Url = peer.Url, RequestTimeout = TimeSpan.FromMilliseconds(50), TriesMax = 1 });
        var failure = await Assert.ThrowsAsync<SwarmConnectionException>(() => client.GetStatusAsync());
        Assert.Contains("did not answer", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_follow_the_cursor_to_the_end()
    {
        const string Agent = """{"name":"$","kind":"hosted","endpoint":"https://h/swarm","public_key":"k","display_name":null,"description":null,"default":false,"created_at":"2026-02-05T14:30:00Z","revoked_at":null}""";
        await using var peer = await HubPeer.StartAsync((context, _, number) => HubPeer.JsonAsync(
            context, 200,
            $$"""{"agents":[{{Agent.Replace("$", "a" + number, StringComparison.Ordinal)}}],"next_cursor":{{(number < 3 ? $"\"c&{number}\"" : "null")}}}"""));
        using var client = Client(peer.Url);
        var names = new List<string>();
        await foreach (var agent in client.ListAgentsAsync())
        {
            names.Add(agent.Name);
        }

        Assert.Equal(["a1", "a2", "a3"], names);
        Assert.Equal(
            ["GET /hub/v1/agents?limit=100", "GET /hub/v1/agents?limit=100&cursor=c%261", "GET /hub/v1/agents?limit=100&cursor=c%262"],
            peer.Seen.Select(request => request.ToString()));
    }

    [Fact]
    public async Task The_work_queue_speaks_the_contract()
    {
        await using var peer = await HubPeer.StartAsync(new Dictionary<string, string>
        {
            ["POST /hub/v1/agents/alice/inbox/lease"] = $$"""{"lease_id":"L","expires_at":"2026-02-05T14:31:00.000Z","messages":[{{HubPeer.Item(7)}}]}""",
            ["POST /hub/v1/agents/alice/inbox/ack"] = """{"updated":1}""",
            ["POST /hub/v1/agents/alice/inbox/nak"] = """{"updated":1}""",
            ["POST /hub/v1/agents/alice/inbox/extend"] = """{"expires_at":"2026-02-05T14:32:00.000Z"}""",
        });
        using var client = Client(peer.Url);
        var lease = await client.LeaseAsync("alice", max: 5, leaseSeconds: 30, waitSeconds: 2);
        Assert.Equal(7, Assert.Single(lease.Messages).Seq);
        Assert.Equal(1, await client.AckAsync("alice", lease.LeaseId, [7]));
        await client.NakAsync("alice", lease.LeaseId, [7], delaySeconds: 9);
        Assert.Equal(DateTimeOffset.Parse("2026-02-05T14:32:00Z"), await client.ExtendLeaseAsync("alice", lease.LeaseId, 60));
        Assert.Equal(
            [
                """{"max":5,"lease_seconds":30,"wait_seconds":2}""",
                """{"lease_id":"L","seqs":[7]}""",
                """{"lease_id":"L","seqs":[7],"delay_seconds":9}""",
                """{"lease_id":"L","lease_seconds":60}""",
            ],
            peer.Seen.Select(request => request.Body));
    }

    [Fact]
    public async Task A_batch_gives_each_items_result_in_order()
    {
        await using var peer = await HubPeer.StartAsync(
            200,
            """{"results":[{"status":"accepted","message_id":"00000000-0000-4000-8000-000000000001"},{"status":"refused","error":{"id":"not-a-member","message":"No."}}]}""");
        using var client = Client(peer.Url);
        var results = await client.SendBatchAsync([Message, Message]);
        Assert.Equal(["accepted", "refused"], results.Select(result => result.Status));
        Assert.Equal("not-a-member", results[1].Error!.Id);
        Assert.Equal(2, JsonDocument.Parse(peer.Seen[0].Body).RootElement.GetProperty("messages").GetArrayLength());
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.SendBatchAsync([]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => client.SendBatchAsync([.. Enumerable.Repeat(Message, 513)]));
    }

    [Fact]
    public async Task Enrolment_sends_no_token()
    {
        await using var peer = await HubPeer.StartAsync(401, "{}");
        using var client = Client(peer.Url);
        await Assert.ThrowsAsync<SwarmApiException>(
            () => client.EnrolAsync(new Enrolment { EnrolmentToken = "E", Name = "eve", PublicKey = "k", Proof = "p" }));
        Assert.Null(Assert.Single(peer.Seen)["Authorization"]);
        Assert.Equal("swarm-enrol-v1\nE\neve"u8.ToArray(), Enrolment.ProofBytes("E", "eve"));
    }

    [Fact]
    public async Task Names_are_escaped_so_that_they_stay_one_segment()
    {
        await using var peer = await HubPeer.StartAsync(404, "{}");
        using var client = Client(peer.Url);
        await Assert.ThrowsAsync<SwarmApiException>(() => client.GetAgentAsync("a/b?c"));
        Assert.Equal("GET /hub/v1/agents/a%2Fb%3Fc", Assert.Single(peer.Seen).ToString());
    }

    private static SwarmClient Client(Uri url) =>
        new(new SwarmClientOptions { Url = url, Token = "secret", RetryDelay = TimeSpan.FromMilliseconds(1) });
}
