using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Doors;

/// <summary>Joins at the door: who gets in, who does not, and what is answered (ASP §6.3, §8.2).</summary>
[Collection(DoorCollection.Name)]
[Shown(By.Wire)]
public sealed class AgentSwarmJoinTests(DoorFixture fixture)
{
    private readonly DoorWorld _world = fixture.World;

    [Fact]
    [Conforms("ASP-31", "ASP-32", "ASP-38")]
    public async Task A_new_member_gets_the_roster_and_joining_again_changes_nothing()
    {
        var swarm = await _world.CreateSwarmAsync("Joining");
        var jwt = await _world.JwtAsync(swarm);
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var alice = VectorFile.Published.Key("alice");
        var expected =
            $$"""{"status":"accepted","swarm_id":"{{swarm}}","swarm_name":"Joining","members":[{"agent_id":"alice","endpoint":"{{alice.Endpoint}}","public_key":"{{alice.PublicKeyText}}"},{"agent_id":"erin","endpoint":"https://erin.example.com/swarm","public_key":"{{PublicKeyText.Format(key.PublicKey)}}"}]}""";
        Assert.Equal(expected, (await _world.JoinAsync("erin", key.PublicKey, jwt)).Text);

        var before = await _world.Node.CountRowsAsync();
        Assert.Equal(expected, (await _world.JoinAsync("erin", _world.Mallory.PublicKey, jwt)).Text);
        Assert.Equal(expected, (await _world.JoinAsync("erin", "no key at all", jwt)).Text);
        Assert.Equal(before, await _world.Node.CountRowsAsync());
    }

    [Fact]
    [Conforms("ASP-33")]
    public async Task A_swarm_that_requires_approval_answers_pending_and_admits_nobody()
    {
        var swarm = await _world.CreateSwarmAsync("Careful", requireApproval: true);
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var answer = await _world.JoinAsync("erin", key.PublicKey, await _world.JwtAsync(swarm));
        Assert.Equal(202, answer.Code);
        Assert.Equal("pending", answer.Json.GetProperty("status").GetString());
        Assert.Equal(swarm.ToString(), answer.Json.GetProperty("swarm_id").GetString());
        Assert.NotEqual("", answer.Json.GetProperty("message").GetString());
        Assert.Equal("alice", Assert.Single(await MembersAsync(swarm)));
    }

    [Fact]
    [Conforms("ASP-23", "ASP-38")]
    public async Task An_invite_admits_as_many_as_it_says_and_repeats_do_not_count()
    {
        var swarm = await _world.CreateSwarmAsync("Two seats");
        var jwt = await _world.JwtAsync(swarm, uses: 2);
        using Key one = Key.Create(SignatureAlgorithm.Ed25519), two = Key.Create(SignatureAlgorithm.Ed25519), three = Key.Create(SignatureAlgorithm.Ed25519);
        Assert.Equal(200, (await _world.JoinAsync("one", one.PublicKey, jwt)).Code);
        Assert.Equal(200, (await _world.JoinAsync("one", one.PublicKey, jwt)).Code);
        Assert.Equal(200, (await _world.JoinAsync("two", two.PublicKey, jwt)).Code);
        var refused = await _world.JoinAsync("three", three.PublicKey, jwt);
        Assert.Equal((403, "NOT_AUTHORIZED"), (refused.Code, refused.ErrorCode));
        Assert.Equal("max_uses_exceeded", refused.Json.GetProperty("error").GetProperty("details").GetProperty("reason").GetString());
        Assert.Equal(200, (await _world.JoinAsync("two", two.PublicKey, jwt)).Code);
        Assert.Equal(["alice", "one", "two"], await MembersAsync(swarm));
    }

    [Fact]
    [Conforms("ASP-23")]
    [Refuses("W-11")]
    public async Task Twenty_at_once_take_no_more_seats_than_there_are()
    {
        var swarm = await _world.CreateSwarmAsync("Crowded");
        var jwt = await _world.JwtAsync(swarm, uses: 3);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            using var key = Key.Create(SignatureAlgorithm.Ed25519);
            return (await _world.JoinAsync($"guest-{i}", key.PublicKey, jwt)).Code;
        }));
        Assert.Equal(3, answers.Count(code => code == 200));
        Assert.Equal(17, answers.Count(code => code == 403));
        Assert.Equal(4, (await MembersAsync(swarm)).Length);
    }

    [Fact]
    [Conforms("ASP-24", "ASP-38")]
    public async Task A_revoked_invite_admits_nobody_not_even_a_member()
    {
        var swarm = await _world.CreateSwarmAsync("Revoked");
        var jwt = await _world.JwtAsync(swarm);
        using Key one = Key.Create(SignatureAlgorithm.Ed25519), two = Key.Create(SignatureAlgorithm.Ed25519);
        Assert.Equal(200, (await _world.JoinAsync("one", one.PublicKey, jwt)).Code);
        await _world.Node.HubAsync(HttpMethod.Delete, $"/hub/v1/swarms/{swarm}/invites/{InviteToken.HashOf(jwt)}?agent=alice");
        foreach (var (name, key) in new[] { ("two", two), ("one", one) })
        {
            var refused = await _world.JoinAsync(name, key.PublicKey, jwt);
            Assert.Equal((403, "NOT_AUTHORIZED"), (refused.Code, refused.ErrorCode));
            Assert.Equal("token_revoked", refused.Json.GetProperty("error").GetProperty("details").GetProperty("reason").GetString());
        }
    }

    [Fact]
    [Conforms("ASP-22", "ASP-38")]
    public async Task An_invite_ends_at_its_time_for_members_too()
    {
        var swarm = await _world.CreateSwarmAsync("Short");
        var jwt = await _world.JwtAsync(swarm, hours: -1);
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var refused = await _world.JoinAsync("one", key.PublicKey, jwt);
        Assert.Equal((401, "INVALID_SIGNATURE"), (refused.Code, refused.ErrorCode));
        Assert.Equal("Token expired at 2026-11-21T11:00:00.000Z", refused.Json.GetProperty("error").GetProperty("message").GetString());
        Assert.Equal(JsonValueKind.Null, refused.Json.GetProperty("error").GetProperty("details").ValueKind);
    }

    [Theory]
    [InlineData(true, 200)]
    [InlineData(false, 401)]
    [Conforms("ASP-25")]
    [Refuses("W-15")]
    public async Task A_members_invite_counts_where_the_swarm_allows_it(bool isAllowed, int status)
    {
        var swarm = await _world.CreateSwarmAsync("Members invite", allowMemberInvite: isAllowed);
        using Key member = Key.Create(SignatureAlgorithm.Ed25519), guest = Key.Create(SignatureAlgorithm.Ed25519);
        Assert.Equal(200, (await _world.JoinAsync("member", member.PublicKey, await _world.JwtAsync(swarm))).Code);

        var claims = new InviteClaims(swarm, "alice", VectorFile.Published.Key("alice").Endpoint, DoorWorld.Now, null, null);
        Assert.Equal(status, (await _world.JoinAsync("guest", guest.PublicKey, InviteToken.Create(claims, member).Jwt)).Code);
        Assert.Equal(401, (await _world.JoinAsync("guest-2", guest.PublicKey, InviteToken.Create(claims, _world.Mallory).Jwt)).Code);
    }

    [Theory]
    [InlineData("zoe", 404, "SWARM_NOT_FOUND")]
    [InlineData("carol", 404, "SWARM_NOT_FOUND")]
    [Conforms("ASP-22")]
    public async Task Only_the_master_answers(string door, int status, string code)
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var refused = await _world.JoinAsync("erin", key.PublicKey, await _world.JwtAsync(_world.Swarm), door);
        Assert.Equal((status, code), (refused.Code, refused.ErrorCode));
    }

    [Theory]
    [InlineData("erin", "other", "body.sender.public_key:value_error")]
    [InlineData("erin", "AAAA", "body.sender.public_key:value_error")]
    [InlineData("broadcast", null, "body.sender.agent_id:value_error")]
    [InlineData("er in", null, "body.sender.agent_id:value_error")]
    [InlineData("érin", null, "body.sender.agent_id:value_error")]
    [InlineData("..", null, "body.sender.agent_id:value_error")]
    [Conforms("ASP-02")]
    public async Task A_new_member_needs_a_key_and_a_name_that_can_be_addressed(string name, string? key, string failure)
    {
        using var fresh = Key.Create(SignatureAlgorithm.Ed25519);
        var jwt = await _world.JwtAsync(_world.Swarm);
        var before = await _world.Node.CountRowsAsync();
        var refused = await _world.JoinAsync(name, key ?? PublicKeyText.Format(fresh.PublicKey), jwt);
        Assert.Equal(422, refused.Code);
        Assert.Equal([failure], refused.Failures);
        Assert.Equal(before, await _world.Node.CountRowsAsync());
    }

    [Fact]
    [Conforms("ASP-22")]
    [Refuses("W-11")]
    public async Task Claims_that_name_another_master_are_refused()
    {
        using Key alice = VectorFile.Published.Key("alice").ToKey(), guest = Key.Create(SignatureAlgorithm.Ed25519);
        var claims = new InviteClaims(_world.Swarm, "alice", "https://elsewhere.example.com/swarm", DoorWorld.Now, null, null);
        var refused = await _world.JoinAsync("erin", guest.PublicKey, InviteToken.Create(claims, alice).Jwt);
        Assert.Equal((400, "INVALID_TOKEN"), (refused.Code, refused.ErrorCode));
    }

    private async Task<string[]> MembersAsync(SwarmId swarm) =>
        [.. (await _world.Node.HubAsync(HttpMethod.Get, $"/hub/v1/swarms/{swarm}/members")).GetProperty("members").EnumerateArray()
            .Select(member => member.GetProperty("agent_id").GetString()!)];
}
