using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Running;

/// <summary>Runs a resource as a container.</summary>
internal static class ContainerCommand
{
    /// <returns>The program of a container runtime whose engine answers, or null.</returns>
    public static async Task<string?> FindRuntimeAsync()
    {
        foreach (var program in new[] { "docker", "podman" })
        {
            if (Executables.Find(program) is { } path
                && await ShortCommand.RunAsync([path, "info"], CancellationToken.None).ConfigureAwait(false) is (0, _))
            {
                return path;
            }
        }

        return null;
    }

    /// <summary>Starts the resource's image with its environment, its volume, and its port on the loopback address.</summary>
    public static async Task<SupervisedProcess> StartAsync(
        RunningResource run,
        string runtime,
        ContainerResource resource,
        int containerPort,
        IReadOnlyList<string> arguments,
        CancellationToken cancellationToken)
    {
        var image = resource.Annotations.OfType<ContainerImage>().Single();
        var volume = resource.Annotations.OfType<DataVolume>().SingleOrDefault();
        var suffix = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(run.Launcher.Area.Root)))[..8];
        var container = volume is null ? $"{resource.Name}-{suffix}-{Environment.ProcessId}" : $"{volume.Name}-{suffix}";
        var port = resource.Annotations.OfType<EndpointAnnotation>().Single().Allocated!.Value.Port;

        var environment = Executables.Environment();
        environment["HOME"] = Environment.GetEnvironmentVariable("HOME") ?? "/";
        var values = await ResourceEnvironment.OfAsync(resource, run.Launcher.ExecutionContext, cancellationToken).ConfigureAwait(false);
        List<string> command =
        [
            runtime, "run", "--rm", "--name", container, "--publish", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}:{containerPort}"),
        ];
        foreach (var (name, value) in values)
        {
            // Named here, valued in the environment: a command line is readable by everybody.
            command.AddRange(["--env", name]);
            environment[name] = value;
        }

        if (volume is not null)
        {
            command.AddRange(["--volume", $"{volume.Name}-{suffix}:{volume.Target}{(volume.IsReadOnly ? ":ro" : string.Empty)}"]);
        }

        if (resource.Entrypoint is { } entrypoint)
        {
            command.AddRange(["--entrypoint", entrypoint]);
        }

        command.Add(image.ToString());
        foreach (var argument in await ResourceEnvironment.CollectArgumentsAsync(resource, cancellationToken).ConfigureAwait(false))
        {
            command.Add(await ResourceEnvironment.ResolveAsync(argument, cancellationToken).ConfigureAwait(false) ?? string.Empty);
        }

        command.AddRange(arguments);
        await ShortCommand.RunAsync([runtime, "rm", "--force", container], cancellationToken).ConfigureAwait(false);
        run.Update(s => s with { Note = $"container {container} of {image}" });
        return await run.StartAsync(
            command, environment, "/", ServerStop.Fast, cancellationToken, afterwards: [runtime, "rm", "--force", container]).ConfigureAwait(false);
    }
}
