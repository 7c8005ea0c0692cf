using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Cli.Watch;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm watch</c>: wakes an agent on its own machine, by a command or by typing into tmux (ASP §11.3).</summary>
internal static class WatchCommand
{
    private const int BatchMax = 100;

    public static SwarmCommand Create(OpenSession open)
    {
        var run = new Argument<string[]>("command") { Description = "A command (after --); it gets the messages on standard input, one JSON object a line.", Arity = ArgumentArity.ZeroOrMore };
        var tmux = new Option<string?>("--tmux") { Description = "Type a one-line notice into this tmux session, window or pane.", HelpName = "TARGET" };
        var from = new Option<string[]>("--from") { Description = "Only from these agents.", HelpName = "AGENT" };
        var types = new Option<string[]>("--type") { Description = "Only these: message, system, notification." };
        types.AcceptOnlyFromAmong("message", "system", "notification");
        var priorities = new Option<string[]>("--priority") { Description = "Only these: low, normal, high." };
        priorities.AcceptOnlyFromAmong("low", "normal", "high");
        var direct = new Option<bool>("--direct") { Description = "Only what is addressed to the agent itself, not to all." };
        var swarm = new Option<string?>("--swarm", "-s") { Description = "Only this swarm's messages.", HelpName = "ID" };
        var fromStart = new Option<bool>("--from-start") { Description = "Without a position: begin with the oldest message." };
        var after = new Option<long?>("--after") { Description = "Begin after this number, whatever the position says.", HelpName = "SEQ" };
        var position = new Option<string?>("--position") { Description = "Where to keep the position (else watch-AGENT.json in the profile).", HelpName = "FILE" };
        var batch = CommonOptions.Number("--batch", "-b", $"At most so many messages for one run, 1 to {BatchMax} (1; with --tmux {BatchMax}).", 1, BatchMax);
        var once = new Option<bool>("--once") { Description = "End after the first run that succeeded." };
        var command = new SwarmCommand("watch", "React to messages as they arrive: run a command, or type into tmux.")
        {
            Examples =
            [
                "swarm watch --as bob -- ./handle.sh", "swarm watch --as bob --tmux bob:0", "swarm watch --direct --priority high --batch 20 -- python3 agent.py",
                "swarm watch --once --from alice -- cat", "swarm watch --from-start --position ./bob.position -- jq -r .content",
            ],
        };
        command.Add(run);
        foreach (var option in new Option[] { tmux, from, types, priorities, direct, swarm, fromStart, after, position, batch, once })
        {
            command.Add(option);
        }

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var words = parsed.GetValue(run) ?? [];
            var target = parsed.GetValue(tmux);
            if (words.Length > 0 == (target is not null) || target is { Length: 0 } || (target?.StartsWith('-') ?? false))
            {
                throw CliException.BadArguments("Name a command after --, or a tmux target with --tmux; one of them.", "swarm watch -- ./handle.sh");
            }

            var filter = new WatchFilter(
                parsed.GetValue(swarm) is { } id ? SwarmIdText.Parse(id, "--swarm") : null, [.. (parsed.GetValue(from) ?? []).Select(AgentNameText.Parse)],
                parsed.GetValue(types) ?? [], parsed.GetValue(priorities) ?? [], parsed.GetValue(direct) ? agent : null);
            void Problem(string text) => session.Terminal.Note(text);
            IReaction reaction = target is null
                ? new CommandReaction(words, agent, Problem)
                : new TmuxReaction(target, session.Environment.Clock, Problem);
            var watcher = new Watcher(
                reaction, filter, parsed.GetValue(batch) ?? (target is null ? 1 : BatchMax), session.Environment.Clock, Problem);
            return await WatchAsync(
                session, agent, watcher, parsed.GetValue(position), parsed.GetValue(after) ?? (parsed.GetValue(fromStart) ? 0 : null),
                parsed.GetValue(after) is not null, parsed.GetValue(once), cancellation);
        });
        return command;
    }

    private static async Task<int> WatchAsync(
        Session session, string agent, Watcher watcher, string? positionFile, long? start, bool ignorePosition, bool once, CancellationToken cancellation)
    {
        var path = positionFile ?? Path.Combine(session.Environment.ConfigFolder, $"watch-{agent}.json");
        if (positionFile is null)
        {
            PrivateFiles.EnsureFolder(session.Environment.ConfigFolder);
        }

        using var alone = HoldAlone(path);
        var node = session.Node.Url.GetLeftPart(UriPartial.Authority);
        var kept = ignorePosition ? null : WatchPosition.Load(path, node, agent);
        var client = await session.ForAgentAsync(agent, cancellation);
        var after = kept?.Seq ?? start ?? await client.GetNewestSeqAsync(agent, cancellation);
        void Save(long seq)
        {
            new WatchPosition { Node = node, Agent = agent, Seq = seq }.Save(path);
            if (session.Json)
            {
                session.Terminal.WriteLine(JsonText.Line(new JsonObject { ["status"] = "handled", ["agent_id"] = agent, ["seq"] = seq }));
            }
        }

        // From here on a restart resumes, even one before the first message.
        new WatchPosition { Node = node, Agent = agent, Seq = after }.Save(path);
        var options = new InboxStreamOptions
        {
            After = after,
            OnConnected = () => session.Terminal.Note($"Watching the inbox of '{agent}' after #{after}; Ctrl-C ends."),
            OnBroken = why => session.Terminal.Note($"The connection ended ({why}); connecting again."),
            OnReset = reset => session.Terminal.Note($"Messages before number {reset.OldestSeq} are no longer kept."),
        };
        await watcher.RunAsync(client.StreamAsync(agent, options, cancellation), once, Save, cancellation);
        return ExitCode.Ok;
    }

    /// <summary>Two watchers with one position would handle everything twice.</summary>
    private static FileStream HoldAlone(string path)
    {
        try
        {
            return PrivateFiles.OpenAlone(path + ".lock", FileMode.OpenOrCreate);
        }
        catch (IOException e)
        {
            throw new CliException(ExitCode.General, $"Another watcher holds {path}.", "End it, or name another file with --position.", e);
        }
    }
}
