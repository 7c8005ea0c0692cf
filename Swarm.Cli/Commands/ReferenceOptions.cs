using System.CommandLine;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary>The options by which <c>swarm messages</c> looks for what messages refer to.</summary>
internal sealed class ReferenceOptions
{
    private readonly Option<string?> repo = new("--repo")
    {
        Description = "Look for messages about this repository, newest first; they are not marked as read.", HelpName = "OWNER/NAME",
    };

    private readonly Option<int?> issue = CommonOptions.Number("--issue", null, "With --repo: about this issue.", 1, int.MaxValue);
    private readonly Option<int?> pullRequest = CommonOptions.Number("--pr", null, "With --repo: about this pull request.", 1, int.MaxValue);
    private readonly Option<string?> commit = new("--commit") { Description = "With --repo: about this commit.", HelpName = "SHA" };

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { repo, issue, pullRequest, commit })
        {
            command.Add(option);
        }
    }

    /// <summary>What is looked for; null when nothing is.</summary>
    /// <exception cref="CliException">Exit 2: the options do not fit together.</exception>
    public ReferenceQuery? Read(ParseResult parsed)
    {
        var (number, pull, sha) = (parsed.GetValue(issue), parsed.GetValue(pullRequest), parsed.GetValue(commit));
        if ((number is null ? 0 : 1) + (pull is null ? 0 : 1) + (sha is null ? 0 : 1) > 1)
        {
            throw CliException.BadArguments("--issue, --pr and --commit do not go together.", "Leave all but one out.");
        }

        if (Repo(parsed.GetValue(repo)) is not { } name)
        {
            return (number ?? pull) is null && sha is null
                ? null
                : throw CliException.BadArguments("--issue, --pr and --commit need a repository.", "Name it: --repo owner/name.");
        }

        if (sha is not null && !(sha.Length is > 0 and <= 64 && sha.All(char.IsAsciiHexDigit)))
        {
            throw CliException.BadArguments("--commit is 1 to 64 hexadecimal digits.", "See 'git log'.");
        }

        return new ReferenceQuery(name) { Issue = number, PullRequest = pull, Commit = sha };
    }

    /// <summary>A repository's name as it was given; null when none was.</summary>
    /// <exception cref="CliException">Exit 2: it is none.</exception>
    public static string? Repo(string? text) =>
        text is null || text.Split('/') is [{ Length: > 0 }, { Length: > 0 }]
            ? text
            : throw CliException.BadArguments("--repo is OWNER/NAME.", "For example: --repo octo/spoon.");
}
