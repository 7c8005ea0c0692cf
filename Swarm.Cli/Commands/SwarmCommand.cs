using System.CommandLine;

namespace Swarm.Cli.Commands;

/// <summary>Opens the surroundings of a run: the node, the acting agent, the terminal.</summary>
internal delegate Session OpenSession(ParseResult parsed);

/// <summary>A command with examples for its help, and exit codes of its own for some errors.</summary>
internal sealed class SwarmCommand(string name, string description) : Command(name, description)
{
    public IReadOnlyList<string> Examples { get; init; } = [];

    /// <summary>Exit codes by error id, where this command's differ from the usual ones (ASP §15).</summary>
    public IReadOnlyDictionary<string, int>? ExitCodes { get; init; }

    /// <summary>Adds arguments and options, in the order in which the help shows them.</summary>
    public void AddAll(params ReadOnlySpan<Symbol> symbols)
    {
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
            {
                Add(argument);
            }
            else
            {
                Add((Option)symbol);
            }
        }
    }

    /// <summary>What the command does; it returns the exit code.</summary>
    public void Runs(OpenSession open, Func<Session, ParseResult, CancellationToken, Task<int>> action) =>
        SetAction(async (parsed, cancellation) =>
        {
            using var session = open(parsed);
            return await action(session, parsed, cancellation);
        });
}
