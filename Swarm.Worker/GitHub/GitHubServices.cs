using Swarm.Core;
using Swarm.Core.GitHub;

namespace Swarm.Worker.GitHub;

/// <summary>Polls when it is time, and sends what may be sent.</summary>
internal sealed class GitHubLoop(
    GitHubMonitor monitor, GitHubSender sender, GitHubState state, GitHubOptions options, TimeProvider time, ILogger<GitHubLoop> logger) : Loop(time, logger)
{
    private DateTimeOffset? _dryRunAt;

    protected override TimeSpan Interval => TimeSpan.FromSeconds(5);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        while (!options.DryRun && await sender.SendNextAsync(cancellation))
        {
        }

        var (last, paused) = await state.ReadAsync(cancellation);
        var now = Time.GetUtcNow();
        if (paused > now || (options.DryRun ? _dryRunAt : last) + options.PollInterval > now)
        {
            return false;
        }

        _dryRunAt = now;
        return await monitor.PollAsync(options.DryRun ? PollMode.Dry : PollMode.Tell, cancellation) > 0 && !options.DryRun;
    }
}

/// <summary>Registers the GitHub monitor (ASP §18) when repositories are configured; needs <c>AddGuardedHttp</c> and Core.</summary>
internal static class GitHubServices
{
    public static IHostApplicationBuilder AddGitHub(this IHostApplicationBuilder builder)
    {
        var options = new GitHubOptions();
        builder.Configuration.GetSection("GitHub").Bind(options);
        builder.Services.AddSingleton(options).AddSingleton<GitHubState>().AddSingleton<GitHubApi>().AddSingleton<GitHubMonitor>();
        if (options.IsOn)
        {
            // The notices are messages like all others, so the Worker has an intake of its own.
            builder.Services.AddSwarmIntake().AddSingleton<GitHubSender>().AddHostedService<GitHubLoop>();
        }

        return builder;
    }
}
