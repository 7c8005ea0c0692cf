using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Versioning;
using System.Security.Cryptography;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Attacks;

/// <summary>Attacks on secrets: reading them from the disk or the database, and guessing them by time.</summary>
[UnsupportedOSPlatform("windows")]
[Collection(AttackCollection.Name)]
public sealed class SecretAttackTests(AttackFixture world)
{
    [Fact]
    [Refuses("W-29")]
    public async Task Nobody_else_on_the_machine_reads_a_secret_of_the_node()
    {
        (await world.Node.Hub.PostHubAsync("/hub/v1/backup", new { })).Ok();
        var secret = (await File.ReadAllTextAsync(Path.Combine(world.Node.DataFolder, "operator.token"))).Trim();
        const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
        var files = Directory.GetFiles(world.Node.DataFolder, "*", SearchOption.AllDirectories)
            .Where(f => new FileInfo(f).Length > 0 && Path.GetFileName(f) != "node.json").ToList(); // Where the node listens is no secret.
        Assert.Contains(files, f => f.EndsWith(".tar.gz", StringComparison.Ordinal));
        Assert.All(files, file => Assert.True((File.GetUnixFileMode(file) & Others) == 0, $"{file}: {File.GetUnixFileMode(file)}"));

        // In the database there are no tokens, seeds and invites to read either, only what does not lead back to them.
        var jwt = AttackFixture.Jwt(await world.Home.InviteAsync(world.Node.Hub));
        foreach (var text in new[] { secret, world.Home.TokenOf("carol"), jwt, AttackFixture.Jwt(await FarInviteAsync()) })
        {
            var hex = Convert.ToHexStringLower(System.Text.Encoding.UTF8.GetBytes(text));
            foreach (var table in (await TableState.ReadAsync(world.Node.Database)).Keys.Append("audit_entries"))
            {
                Assert.False(
                    await world.Node.ScalarAsync<bool>($"select exists (select 1 from {table} t where position('{text}' in t::text) > 0 or position('{hex}' in t::text) > 0)"),
                    table);
            }
        }
    }

    [Fact]
    [Refuses("W-29")]
    public void The_wake_secret_is_compared_in_constant_time()
    {
        var method = typeof(WakeEndpoint).GetMethod("IsSecret", BindingFlags.Static | BindingFlags.NonPublic)!;
        var calls = Calls(method).ToList();
        Assert.Contains(calls, c => c.DeclaringType == typeof(CryptographicOperations) && c.Name == nameof(CryptographicOperations.FixedTimeEquals));
        Assert.DoesNotContain(calls, c => c.Name is "op_Equality" or "Equals" or "SequenceEqual" or "CompareOrdinal");
    }

    /// <summary>The invite by which zoe joined, which the node keeps to ask again.</summary>
    private async Task<string> FarInviteAsync()
    {
        (await world.Far.JoinAsync("zoe")).Ok();
        Assert.Equal(1, await world.Node.ScalarAsync<long>("select count(*) from members where name = 'zoe' and sealed_invite is not null"));
        return $"swarm://{world.Far.Swarm}@x?token={world.Far.Master.Requests.Last(r => r.Path.EndsWith("/join", StringComparison.Ordinal)).Json.GetProperty("invite_token").GetString()}";
    }

    private static IEnumerable<MethodBase> Calls(MethodInfo method)
    {
        var code = method.GetMethodBody()!.GetILAsByteArray()!;
        for (var at = 0; at + 4 < code.Length; at++)
        {
            if (code[at] == OpCodes.Call.Value || code[at] == OpCodes.Callvirt.Value)
            {
                MethodBase? called = null;
                try
                {
                    called = method.Module.ResolveMethod(BitConverter.ToInt32(code, at + 1));
                }
                catch (ArgumentException)
                {
                    // The byte was an operand and no call.
                }

                if (called is not null)
                {
                    yield return called;
                }
            }
        }
    }
}
