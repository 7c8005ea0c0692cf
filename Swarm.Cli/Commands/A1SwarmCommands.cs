using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary>One command for each of A1's swarm routes (A1 §14.2).</summary>
internal static class A1SwarmCommands
{
    public static SwarmCommand[] Create(OpenSession open) =>
        [CreateSwarm(open), Add(open), Remove(open), List(open), Chain(open), Heartbeat(open), Delete(open)];

    private static SwarmCommand CreateSwarm(OpenSession open)
    {
        var name = new Argument<string>("name") { Description = "The swarm's name.", HelpName = "NAME" };
        var allow = CapabilityOptions.Allow("What its members may be let do (required).");
        allow.Required = true;
        var days = CommonOptions.Number("--days", null, "How long it lives (30).", 1, 36_500);
        var key = CapabilityOptions.Key();
        var command = new SwarmCommand("create", "Create a swarm of A1's; the same again changes nothing and keeps its members.")
        {
            Examples = ["swarm a1 create trading --allow trade.equity,portfolio.read", "swarm a1 create trading --allow a --days 7 --key owner.key --json"],
        };
        command.AddAll(name, allow, days, key);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var order = new CapabilitySwarmOrder(
                parsed.GetRequiredValue(name), NameList.Parse(parsed.GetValue(allow), "--allow"), parsed.GetValue(days),
                SeedFile.ToSend(parsed.GetValue(key), session.Node.Url));
            var created = await (await session.ForOperatorAsync(cancellation)).CreateCapabilitySwarmAsync(order, cancellation);
            return session.Done(
                new JsonObject { ["status"] = "created", ["swarm_id"] = created.SwarmId, ["name"] = created.SwarmName },
                $"A1 swarm '{created.SwarmName}' is there.", $"  ID: {created.SwarmId}");
        });
        return command;
    }

    private static SwarmCommand Add(OpenSession open)
    {
        var swarm = SwarmId();
        var agent = CapabilityOptions.Agent("Who joins.");
        var role = CapabilityOptions.Role();
        var allow = CapabilityOptions.Allow("What a worker or supervisor may do.");
        var ttl = CapabilityOptions.Ttl("1h");
        var key = CapabilityOptions.Key();
        var output = CapabilityOptions.Out("the chain of its first certificate");
        var command = new SwarmCommand("add", "Add a member, or put it into another role; what it was given before is revoked.")
        {
            Examples = ["swarm a1 add SWARM_ID --agent bob --role worker --allow portfolio.read --ttl 12h --out chain.json"],
        };
        command.AddAll(swarm, agent, role, allow, ttl, key, output);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var life = DurationText.Parse(parsed.GetValue(ttl));
            var id = Id(parsed, swarm);
            var seed = SeedFile.ToSend(parsed.GetValue(key), session.Node.Url);
            var client = await session.ForOperatorAsync(cancellation);
            var added = await client.AddCapabilityMemberAsync(
                new(
                    id, await PublicKeyText.ResolveAsync(parsed.GetRequiredValue(agent), client, cancellation), parsed.GetRequiredValue(role),
                    NameList.Split(parsed.GetValue(allow)), life, seed),
                cancellation);
            var path = parsed.GetValue(output);
            if (path is not null)
            {
                PrivateFiles.Write(path, JsonText.Pretty(added.Chain
                    ?? throw new CliException(ExitCode.General, "The member is added, but its role has no capabilities, and so no chain.")) + "\n");
            }

            var json = ToJson(added.Member);
            json["chain"] = added.Chain?.DeepClone();
            return session.Done(
                json,
                [
                    $"{added.Member.AgentDid} is a member.", $"  Role:        {added.Member.RoleName}", $"  May:         {Names(added.Member)}",
                    $"  Until:       {UnixText.Format(added.Member.ExpiresAtUnix)}", $"  Fingerprint: {added.Member.CertFingerprintHex ?? "none"}",
                    .. path is null ? Array.Empty<string>() : [$"  Chain:       {path}"],
                ]);
        });
        return command;
    }

    private static SwarmCommand Remove(OpenSession open)
    {
        var (swarm, agent) = (SwarmId(), CapabilityOptions.Agent("Who goes."));
        var command = new SwarmCommand("remove", "Remove a member and revoke all it was given.") { Examples = ["swarm a1 remove SWARM_ID --agent bob"] };
        command.AddAll(swarm, agent);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var id = Id(parsed, swarm);
            var client = await session.ForOperatorAsync(cancellation);
            var did = await DidAsync(parsed.GetRequiredValue(agent), client, cancellation);
            await client.RemoveCapabilityMemberAsync(id, did, cancellation);
            return session.Done(
                new JsonObject { ["status"] = "removed", ["swarm_id"] = id, ["agent_did"] = did }, $"{did} is removed, and what it was given is revoked.");
        });
        return command;
    }

    private static SwarmCommand List(OpenSession open)
    {
        var swarm = SwarmId();
        var command = new SwarmCommand("list", "List a swarm's members, oldest first.") { Examples = ["swarm a1 list SWARM_ID", "swarm a1 list SWARM_ID --json"] };
        command.Add(swarm);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var id = Id(parsed, swarm);
            var members = await session.Anonymous(session.Node.Url).ListCapabilityMembersAsync(id, cancellation);
            if (session.Json)
            {
                return session.Done(new JsonObject { ["swarm_id"] = id, ["count"] = members.Count, ["members"] = new JsonArray([.. members.Select(ToJson)]) });
            }

            if (members.Count == 0)
            {
                session.Terminal.WriteLine("The swarm has no members.");
                return ExitCode.Ok;
            }

            session.Terminal.WriteTable(
                ["Agent", "Role", "May", "Until", "Seen"],
                members.Select(m => (IReadOnlyList<string>)
                [
                    m.AgentDid, m.RoleName, Names(m), UnixText.Format(m.ExpiresAtUnix), m.LastSeenUnix is { } seen ? UnixText.Format(seen) : "",
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static SwarmCommand Chain(OpenSession open)
    {
        var (swarm, agent) = (SwarmId(), CapabilityOptions.Agent("Who acts."));
        var (ttl, key, output) = (CapabilityOptions.Ttl("1h"), CapabilityOptions.Key(), CapabilityOptions.Out("the chain"));
        var command = new SwarmCommand("chain", "Print a fresh chain for a member, no wider than its role: it counts once.")
        {
            Examples = ["swarm a1 chain SWARM_ID --agent bob --out chain.json", "swarm a1 chain SWARM_ID --agent bob --ttl 5m > chain.json"],
        };
        command.AddAll(swarm, agent, ttl, key, output);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var life = DurationText.Parse(parsed.GetValue(ttl));
            var id = Id(parsed, swarm);
            var seed = SeedFile.ToSend(parsed.GetValue(key), session.Node.Url);
            var client = await session.ForOperatorAsync(cancellation);
            var chain = await client.IssueMemberChainAsync(
                id, await PublicKeyText.ResolveAsync(parsed.GetRequiredValue(agent), client, cancellation), life, seed, cancellation);
            return PassportCommand.Write(session, chain, parsed.GetValue(output), "The chain");
        });
        return command;
    }

    private static SwarmCommand Heartbeat(OpenSession open)
    {
        var (swarm, agent) = (SwarmId(), CapabilityOptions.Agent("Who lives."));
        var command = new SwarmCommand("heartbeat", "Note that a member lives; extends nothing.") { Examples = ["swarm a1 heartbeat SWARM_ID --agent bob"] };
        command.AddAll(swarm, agent);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var id = Id(parsed, swarm);
            var client = await session.ForOperatorAsync(cancellation);
            var did = await DidAsync(parsed.GetRequiredValue(agent), client, cancellation);
            var seen = await client.BeatAsync(id, did, cancellation);
            return session.Done(new JsonObject { ["agent_did"] = did, ["last_seen_unix"] = seen }, $"{did} was seen {UnixText.Format(seen)}.");
        });
        return command;
    }

    private static SwarmCommand Delete(OpenSession open)
    {
        var swarm = SwarmId();
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("delete", "End a swarm of A1's, with every certificate of its members, for ever.") { Examples = ["swarm a1 delete SWARM_ID --yes"] };
        command.AddAll(swarm, yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var id = Id(parsed, swarm);
            var client = await session.ForOperatorAsync(cancellation);
            if (!session.Confirmed($"End A1 swarm {id}, and all that its members were given?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            await client.DeleteCapabilitySwarmAsync(id, cancellation);
            return session.Done(new JsonObject { ["status"] = "deleted", ["swarm_id"] = id }, $"A1 swarm {id} is ended.");
        });
        return command;
    }

    private static Argument<string> SwarmId() => new("swarm-id") { Description = "As 'swarm a1 create' printed it: 64 hex digits.", HelpName = "SWARM_ID" };

    private static string Id(ParseResult parsed, Argument<string> swarm) => PublicKeyText.ParseHex(parsed.GetRequiredValue(swarm), "The swarm's id");

    private static async Task<string> DidAsync(string text, SwarmClient client, CancellationToken cancellation) =>
        PublicKeyText.DidPrefix + await PublicKeyText.ResolveAsync(text, client, cancellation);

    private static string Names(CapabilityMember member) =>
        member.Capabilities is { Count: > 0 } names ? string.Join(", ", names) : member.RoleName == "orchestrator" ? "everything" : "nothing";

    private static JsonObject ToJson(CapabilityMember member)
    {
        var json = CliJson.Node(member).AsObject();
        json["role"] = member.RoleName;
        return json;
    }
}
