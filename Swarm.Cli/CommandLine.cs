using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Text.Json.Nodes;
using Swarm.Cli.Commands;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;

namespace Swarm.Cli;

/// <summary>The <c>swarm</c> command: its commands, the options that all of them share, and how every run ends.</summary>
internal sealed class CommandLine
{
    private readonly Terminal terminal;
    private readonly CliEnvironment environment;
    private readonly RootCommand root;
    private readonly Option<string?> url = new("--url")
    {
        Description = "The node's address (else SWARM_URL, node.json, or http://127.0.0.1:8700).", Recursive = true, HelpName = "URL",
    };
    private readonly Option<string?> actAs = new("--as")
    {
        Description = "The agent that acts (else SWARM_AGENT, or the profile's default agent).", Recursive = true, HelpName = "AGENT",
    };
    private readonly Option<bool> json = new("--json") { Description = "Print JSON for scripts; errors too.", Recursive = true };

    public CommandLine(Terminal terminal, CliEnvironment environment)
    {
        this.terminal = terminal;
        this.environment = environment;
        root = new RootCommand("Swarm: agents form swarms and exchange signed messages through a durable hub.") { url, actAs, json };
        foreach (var command in All())
        {
            root.Add(command);
        }

        var help = root.Options.OfType<HelpOption>().Single();
        var usual = (HelpAction)help.Action!;
        help.Action = new HelpWithExamples(usual, evenAfterErrors: true);
        ShowHelpWhereOnlySubcommandsAct(root, new HelpWithExamples(usual, evenAfterErrors: false));
    }

    /// <summary>The commands by name.</summary>
    public IEnumerable<string> CommandNames => root.Subcommands.Select(command => command.Name);

    /// <summary>Runs one command line; returns its exit code (<see cref="ExitCode"/>).</summary>
    /// <param name="exitCodeOfSignal">Asked when <paramref name="cancellation"/> ended the run.</param>
    public async Task<int> RunAsync(string[] args, Func<int> exitCodeOfSignal, CancellationToken cancellation)
    {
        try
        {
            return await RunGuardedAsync(args, exitCodeOfSignal, cancellation);
        }
        catch (OutputClosedException)
        {
            return ExitCode.Ok; // As with "swarm inbox --follow | head": the reader has what it wanted.
        }
    }

    private async Task<int> RunGuardedAsync(string[] args, Func<int> exitCodeOfSignal, CancellationToken cancellation)
    {
        // No bundling and no response files: a message such as "@bob hi" or "-ab" is a message.
        var parsed = root.Parse(args, new ParserConfiguration { EnablePosixBundling = false, ResponseFileTokenReplacer = null });
        var wantsJson = args.TakeWhile(arg => arg != "--").Contains("--json");
        try
        {
            if (parsed.Action is ParseErrorAction)
            {
                var path = string.Join(' ', Path(parsed.CommandResult.Command).Reverse());
                throw CliException.BadArguments(string.Join(' ', parsed.Errors.Select(error => error.Message)), $"See: {path} --help");
            }

            var configuration = new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null, Output = terminal.Out, Error = terminal.Error,
            };
            var exitCode = await parsed.InvokeAsync(configuration, cancellation);
            terminal.Flush();
            return exitCode;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return exitCodeOfSignal();
        }
        catch (Exception e) when (e is not OutputClosedException)
        {
            var overrides = (parsed.CommandResult.Command as SwarmCommand)?.ExitCodes;
            return Report(Failures.Face(e, overrides), wantsJson);
        }    }

    private SwarmCommand[] All() =>
    [
        InitCommand.Create(Open), CreateCommand.Create(Open), InviteCommand.Create(Open), JoinCommand.Create(Open),
        LeaveCommand.Create(Open), KickCommand.Create(Open), ListCommand.Create(Open), SendCommand.Create(Open),
        MessagesCommand.Create(Open), InboxCommand.Create(Open), SentCommand.Create(Open), TraceCommand.Create(Open), DlqCommand.Create(Open),
        BoardCommand.Create(Open), MuteCommand.Create(Open), MuteCommand.CreateUndo(Open), PurgeCommand.Create(Open), ExportCommand.Create(Open), ImportCommand.Create(Open),
        WakeCommand.Create(Open), WatchCommand.Create(Open),
        ApproveCommand.Create(Open), RevokeCommand.Create(Open), TransferCommand.Create(Open), AgreeCommand.Create(Open), SyncCommand.Create(Open),
        DissolveCommand.Create(Open),
        KeysCommand.Create(Open), PassportCommand.Create(Open), DemandCommand.Create(Open), GrantCommand.Create(Open), AuthorizeCommand.Create(Open),
        InspectCommand.Create(Open), A1Command.Create(Open),
        StatusCommand.Create(Open), ConfigCommand.Create(Open), PingCommand.Create(Open), AgentCommand.Create(Open), BackupCommand.Create(Open), DoctorCommand.Create(Open),
    ];

    private Session Open(ParseResult parsed) =>
        new(terminal, environment, parsed.GetValue(url), parsed.GetValue(actAs), parsed.GetValue(json));

    private int Report(CliException failure, bool wantsJson)
    {
        if (wantsJson)
        {
            var error = new JsonObject { ["status"] = "error", ["error"] = failure.Message, ["exit_code"] = failure.ExitCode };
            if (failure.Hint is not null)
            {
                error["hint"] = failure.Hint;
            }

            terminal.WriteLine(JsonText.Pretty(error));
        }
        else
        {
            terminal.Note("Error: " + failure.Message);
            if (failure.Hint is not null)
            {
                terminal.Note("Hint: " + failure.Hint);
            }
        }

        return failure.ExitCode;
    }

    private static IEnumerable<string> Path(Symbol symbol)
    {
        for (var at = symbol; at is not null; at = at.Parents.FirstOrDefault())
        {
            yield return at is RootCommand ? "swarm" : at.Name;
        }
    }

    private static void ShowHelpWhereOnlySubcommandsAct(Command command, CommandLineAction help)
    {
        if (command.Subcommands.Count > 0)
        {
            command.Action ??= help;
        }

        foreach (var sub in command.Subcommands)
        {
            ShowHelpWhereOnlySubcommandsAct(sub, help);
        }
    }

    private sealed class HelpWithExamples(HelpAction usual, bool evenAfterErrors) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => evenAfterErrors;

        public override int Invoke(ParseResult parseResult)
        {
            var result = usual.Invoke(parseResult);
            if (parseResult.CommandResult.Command is SwarmCommand { Examples.Count: > 0 } command)
            {
                var output = parseResult.InvocationConfiguration.Output;
                output.WriteLine("Examples:");
                foreach (var example in command.Examples)
                {
                    output.WriteLine("  " + example);
                }

                output.WriteLine();
            }

            return result;
        }
    }
}
