using System.Collections;
using System.Net;
using System.Security.Cryptography;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Running;

/// <summary>Runs the processes of a project: <c>dotnet NAME.dll</c> in the project's folder.</summary>
internal sealed class ProjectRunner(ProjectResource project, RunningResource run)
{
    private static readonly TimeSpan FirstHealthInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan HealthInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HealthTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Of the app host alone: a project's come from its own profile.</summary>
    private static readonly string[] NotInherited =
    [
        "ASPNETCORE_URLS", "DOTNET_LAUNCH_PROFILE", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT", "ASPIRE_LOGLEVEL",
    ];

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var assembly = FindAssembly();
        List<string> command = [SupervisorClient.DotnetHost(), assembly];
        foreach (var argument in await ResourceEnvironment.CollectArgumentsAsync(project, cancellationToken).ConfigureAwait(false))
        {
            command.Add(await ResourceEnvironment.ResolveAsync(argument, cancellationToken).ConfigureAwait(false) ?? string.Empty);
        }

        var processes = new List<SupervisedProcess>();
        var replicas = project.Annotations.OfType<Replicas>().SingleOrDefault()?.Count ?? 1;
        using var proxies = replicas > 1 ? new ReplicaProxies(project) : null;
        for (var replica = 0; replica < replicas; replica++)
        {
            proxies?.AddReplica();
            var log = replica == 0 ? run.LogFile : run.Launcher.Area.LogFile($"{project.Name}-{replica + 1}");
            processes.Add(await run.StartAsync(
                command, await EnvironmentAsync(cancellationToken).ConfigureAwait(false), project.ProjectFolder, ServerStop.Project, cancellationToken, log).ConfigureAwait(false));
        }

        proxies?.Start();
        var check = project.Annotations.OfType<HttpHealthCheck>().LastOrDefault();
        run.Update(s => s with { Note = $"process {string.Join(", ", processes.Select(p => p.ProcessId))}" });
        run.Runs(healthy: check is null);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var checking = check is null ? Task.CompletedTask : CheckHealthAsync(check, ended.Token);
        await Task.WhenAll(processes.Select(p => run.FollowAsync(p, cancellationToken))).ConfigureAwait(false);
        await ended.CancelAsync().ConfigureAwait(false);
        await checking.ConfigureAwait(false);
    }

    internal async Task<Dictionary<string, string>> EnvironmentAsync(CancellationToken cancellationToken)
    {
        var environment = new Dictionary<string, string>();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            if (!NotInherited.Contains((string)variable.Key))
            {
                environment[(string)variable.Key] = (string?)variable.Value ?? string.Empty;
            }
        }

        // One instance id a process: replicas share their name.
        environment["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 8)}";
        var own = await ResourceEnvironment.OfAsync(project, run.Launcher.ExecutionContext, cancellationToken).ConfigureAwait(false);
        foreach (var (name, value) in own)
        {
            environment[name] = value;
        }

        return environment;
    }

    /// <summary>Beside our own output in an artifacts folder, else in the project's own bin folder.</summary>
    private string FindAssembly()
    {
        var name = Path.GetFileNameWithoutExtension(project.ProjectPath);
        var ourOutput = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        string[] candidates =
        [
            Path.Combine(ourOutput.Parent!.Parent!.FullName, name, ourOutput.Name, $"{name}.dll"),
            Path.Combine(project.ProjectFolder, "bin", ourOutput.Parent!.Name, ourOutput.Name, $"{name}.dll"),
        ];
        return candidates.FirstOrDefault(File.Exists)
            ?? throw new DistributedApplicationException($"The project {project.ProjectPath} is not built: there is no {candidates[0]}.");
    }

    private async Task CheckHealthAsync(HttpHealthCheck check, CancellationToken cancellationToken)
    {
        using var client = new HttpClient { Timeout = HealthTimeout, BaseAddress = new Uri(new EndpointReference(project, check.EndpointName).Url) };
        while (!cancellationToken.IsCancellationRequested)
        {
            var healthy = await AnswersAsync(client, check, cancellationToken).ConfigureAwait(false);
            run.Update(s => s.State?.Text == KnownResourceStates.Running
                ? s with { HealthStatus = healthy ? HealthStatus.Healthy : HealthStatus.Unhealthy }
                : s);
            await Task.Delay(healthy ? HealthInterval : FirstHealthInterval, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task<bool> AnswersAsync(HttpClient client, HttpHealthCheck check, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await client.GetAsync(new Uri(check.Path, UriKind.Relative), cancellationToken).ConfigureAwait(false);
            return answer.StatusCode == (HttpStatusCode)check.StatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }
}
