using System.CommandLine;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm wake</c>: when and how the node tells the acting agent that something waits (ASP §11.2).</summary>
internal static class WakeCommand
{
    /// <summary>A secret is never on the command line: it comes by this variable.</summary>
    private const string SecretVariable = "SWARM_WAKE_SECRET";

    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("wake", "When and how the node wakes the acting agent.") { Examples = ["swarm wake show", "swarm wake set --help"] };
        command.Add(Show(open));
        command.Add(Set(open));
        return command;
    }

    private static SwarmCommand Show(OpenSession open)
    {
        var command = new SwarmCommand("show", "Show what is set, and how the last wake went.") { Examples = ["swarm wake show --as bob --json"] };
        command.Runs(open, async (session, _, cancellation) =>
        {
            var client = await session.ForAgentAsync(session.ActingAgent, cancellation);
            return Done(session, await client.GetWakeAsync(session.ActingAgent, cancellation));
        });
        return command;
    }

    private static SwarmCommand Set(OpenSession open)
    {
        var webhook = new Option<string?>("--webhook") { Description = "POST a signed list of ids to this URL.", HelpName = "URL" };
        var endpoint = new Option<string?>("--endpoint") { Description = "POST the protocol's wake to this URL (…/api/wake).", HelpName = "URL" };
        var off = new Option<bool>("--off") { Description = "Wake no more; the rest stays." };
        var on = new Option<string[]>("--on")
        {
            Description = "What wakes: any_message, direct_mention, high_priority, from_specific_agent, keyword_match, swarm_system_message.",
            AllowMultipleArgumentsPerToken = true,
        };
        var agents = Many("--agent", "Agents for from_specific_agent.");
        var keywords = Many("--keyword", "Words for keyword_match, in any case.");
        var quietSwarms = Many("--quiet-swarm", "Swarms that never wake, by id.");
        var kinds = Many("--kind", "Only these kinds: message, system, notification.");
        var priorities = Many("--priority", "Only these priorities: low, normal, high.");
        var addressing = new Option<string?>("--addressed") { Description = "any, direct or broadcast." };
        addressing.AcceptOnlyFromAmong("any", "direct", "broadcast");
        var quiet = new Option<string?>("--quiet-hours") { Description = "UTC hours such as 22-6, when only high priority and system messages wake; none.", HelpName = "FROM-TO" };
        var window = CommonOptions.Number("--window", "-w", "Seconds that a message waits for others.", 0, 3600);
        var command = new SwarmCommand("set", "Change what is set; what is not named stays. A list is replaced.")
        {
            Examples =
            [
                "swarm wake set --webhook https://ci.example.com/swarm --window 30", "swarm wake set --on direct_mention high_priority --quiet-hours 22-6",
                $"{SecretVariable}=… swarm wake set --endpoint https://bob.example.com/api/wake", "swarm wake set --off",
            ],
        };
        foreach (var option in new Option[] { webhook, endpoint, off, on, agents, keywords, quietSwarms, kinds, priorities, addressing, quiet, window })
        {
            command.Add(option);
        }

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var client = await session.ForAgentAsync(session.ActingAgent, cancellation);
            var before = await client.GetWakeAsync(session.ActingAgent, cancellation);
            var (action, url) = (parsed.GetValue(webhook), parsed.GetValue(endpoint), parsed.GetValue(off)) switch
            {
                ({ } hook, null, false) => ("webhook", hook),
                (null, { } door, false) => ("protocol", door),
                (null, null, true) => ("none", null),
                (null, null, false) => (before.Action, before.Url),
                _ => throw CliException.BadArguments("Name one of --webhook, --endpoint and --off."),
            };
            var preferences = before.Preferences with
            {
                WakeConditions = Given(parsed, on) ?? before.Preferences.WakeConditions,
                WatchedAgents = Given(parsed, agents) ?? before.Preferences.WatchedAgents,
                WatchedKeywords = Given(parsed, keywords) ?? before.Preferences.WatchedKeywords,
                MutedSwarms = Given(parsed, quietSwarms)?.Select(id => Arguments.SwarmIdText.Parse(id, "--quiet-swarm")).ToList() ?? before.Preferences.MutedSwarms,
                Kinds = Given(parsed, kinds) ?? before.Preferences.Kinds,
                Priorities = Given(parsed, priorities) ?? before.Preferences.Priorities,
                Addressing = parsed.GetValue(addressing) ?? before.Preferences.Addressing,
                QuietHours = parsed.GetValue(quiet) is { } hours ? Hours(hours) : before.Preferences.QuietHours,
                CoalesceSeconds = parsed.GetValue(window) ?? before.Preferences.CoalesceSeconds,
            };
            return Done(
                session,
                await client.SetWakeAsync(session.ActingAgent, new(preferences, action, url, session.Environment[SecretVariable]), cancellation));
        });
        return command;
    }

    private static int Done(Session session, WakeSetup setup)
    {
        var preferences = setup.Preferences;
        var lines = new List<string>
        {
            setup.Action == "none" ? $"Agent '{setup.Agent}' is not woken." : $"Agent '{setup.Agent}' is woken by {setup.Action}: {setup.Url}",
            $"  On:          {string.Join(", ", preferences.WakeConditions ?? [])}",
            $"  Addressed:   {preferences.Addressing ?? "any"}",
            $"  Kinds:       {(preferences.Kinds is { Count: > 0 } kinds ? string.Join(", ", kinds) : "all")}",
            $"  Priorities:  {(preferences.Priorities is { Count: > 0 } priorities ? string.Join(", ", priorities) : "all")}",
            $"  Quiet hours: {(preferences.QuietHours is { } quiet ? $"{quiet.Start}-{quiet.End} UTC" : "none")}",
            $"  Window:      {preferences.CoalesceSeconds ?? 0} s",
        };
        if (setup.LastResult is { } result)
        {
            lines.Add($"  Last wake:   {result}");
        }

        if (setup.Secret is { } secret)
        {
            lines.Add($"  Secret:      {secret} (shown once; the webhook checks signatures with it)");
        }

        return session.Done(CliJson.Node(setup), [.. lines]);
    }

    private static Option<string[]> Many(string name, string description) => new(name) { Description = description, AllowMultipleArgumentsPerToken = true };

    /// <summary>The list that was given, without empty entries (an empty one clears it); null when none was.</summary>
    private static List<string>? Given(ParseResult parsed, Option<string[]> option) =>
        parsed.GetResult(option) is { Implicit: false } ? [.. (parsed.GetValue(option) ?? []).Where(text => text.Length > 0)] : null;

    private static WakeQuietHours? Hours(string text) => text == "none" ? null
        : text.Split('-') is [var from, var to] && int.TryParse(from, out var start) && int.TryParse(to, out var end) ? new(start, end)
        : throw CliException.BadArguments("--quiet-hours is FROM-TO in UTC hours such as 22-6, or none.");
}
