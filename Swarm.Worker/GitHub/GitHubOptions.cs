using System.Globalization;
using Swarm.Core.References;
using Swarm.Core.Storage;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Worker.GitHub;

/// <summary>A repository that is watched.</summary>
public sealed class GitHubRepository
{
    /// <summary><c>owner/name</c>.</summary>
    public string Name { get; set; } = "";

    /// <summary>The member that is told; else <see cref="GitHubOptions.DefaultCoordinator"/>.</summary>
    public string? Coordinator { get; set; }
}

/// <summary>GitHub logins by what they may ask for (ASP §18). Nobody else's events are told.</summary>
public sealed class GitHubUsers
{
    public IList<string> Principal { get; } = [];

    public IList<string> Team { get; } = [];

    public IList<string> External { get; } = [];
}

/// <summary>Section <c>GitHub</c>: the monitor of repositories. Without repositories there is none.</summary>
public sealed class GitHubOptions
{
    /// <summary>The most repositories of one monitor.</summary>
    public const int RepositoriesMax = 200;

    /// <summary>The shortest time between two polls.</summary>
    public static readonly TimeSpan PollIntervalMin = TimeSpan.FromSeconds(10);

    public IList<GitHubRepository> Repositories { get; } = [];

    public string? DefaultCoordinator { get; set; }

    public GitHubUsers Users { get; } = new();

    /// <summary>The hosted agent that sends the notices; a member of the swarm.</summary>
    public string Agent { get; set; } = "";

    /// <summary>The swarm in which notices are sent.</summary>
    public string SwarmId { get; set; } = "";

    /// <summary>The address of the REST API; of GitHub Enterprise, <c>https://HOST/api/v3</c>. It is called through the guarded client.</summary>
    public string BaseUrl { get; set; } = "https://api.github.com";

    /// <summary>A token that may read the repositories. Give it by a secret file or the environment; it is never logged, and goes to <see cref="BaseUrl"/> only.</summary>
    public string? Token { get; set; }

    /// <summary>From the beginning of one poll to that of the next.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Logs what would be told, sends nothing and keeps nothing.</summary>
    public bool DryRun { get; set; }

    public bool IsOn => Repositories.Count > 0;

    /// <summary>Refuses settings that make no sense, all at once.</summary>
    /// <exception cref="StorageException">Says everything that is wrong.</exception>
    public void Check()
    {
        var faults = new List<string>();
        if (Repositories.Count > RepositoriesMax)
        {
            faults.Add($"GitHub:Repositories holds more than {RepositoriesMax}.");
        }

        foreach (var (index, repository) in Repositories.Index())
        {
            if (!Reference.IsRepo(repository.Name))
            {
                faults.Add($"GitHub:Repositories:{index}:Name is owner/name.");
            }

            if (string.IsNullOrEmpty(repository.Coordinator ?? DefaultCoordinator))
            {
                faults.Add($"GitHub:Repositories:{index} has no Coordinator, and there is no GitHub:DefaultCoordinator.");
            }
        }

        if (Repositories.Select(r => r.Name).Distinct(StringComparer.OrdinalIgnoreCase).Count() < Repositories.Count)
        {
            faults.Add("GitHub:Repositories names a repository twice.");
        }

        if (Users.Principal.Count + Users.Team.Count + Users.External.Count == 0)
        {
            faults.Add("GitHub:Users lists nobody (Principal, Team, External).");
        }

        if (Agent.Length == 0)
        {
            faults.Add("GitHub:Agent is missing: the hosted agent that sends the notices.");
        }

        if (!Guid.TryParse(SwarmId, CultureInfo.InvariantCulture, out _))
        {
            faults.Add("GitHub:SwarmId is missing, or no UUID.");
        }

        if (EgressUrl.Parse(BaseUrl) is not { } url || url.Uri.Query.Length > 0)
        {
            faults.Add("GitHub:BaseUrl is no URL like https://api.github.com.");
        }

        if (PollInterval < PollIntervalMin)
        {
            faults.Add($"GitHub:PollInterval is at least {PollIntervalMin}.");
        }

        if (Token?.Any(c => c is <= ' ' or > '~') == true)
        {
            faults.Add("GitHub:Token holds characters that no token has.");
        }

        if (faults.Count > 0)
        {
            throw new StorageException("The GitHub monitor cannot start: " + string.Join(' ', faults));
        }
    }

    /// <summary>What a login may ask for; null for somebody who is not listed.</summary>
    internal GitHubTier? TierOf(string? login) =>
        login is null ? null
        : Users.Principal.Contains(login, StringComparer.OrdinalIgnoreCase) ? GitHubTier.Principal
        : Users.Team.Contains(login, StringComparer.OrdinalIgnoreCase) ? GitHubTier.Team
        : Users.External.Contains(login, StringComparer.OrdinalIgnoreCase) ? GitHubTier.External
        : null;
}

/// <summary>How far the coordinator may go on the word of a user; decided by the login alone, never by what the user wrote.</summary>
internal enum GitHubTier
{
    Principal,
    Team,
    External,
}
