using System.Net.Sockets;
using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Running;

/// <summary>Runs a Redis server, or finds that there is none.</summary>
internal sealed class RedisRunner(RedisResource server, RunningResource run)
{
    private static readonly TimeSpan ProbeInterval = TimeSpan.FromMilliseconds(50);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var source = await ServerSource.ChooseAsync(
            run.Launcher, server, () => Binary() is not null && VolumeName is { } name && Directory.Exists(Path.Combine(run.Launcher.Area.Root, "volumes", name)),
            _ => Task.FromResult(Binary() is not null), cancellationToken).ConfigureAwait(false);
        SupervisedProcess? process = null;
        switch (source)
        {
            case ServerSource.Container container:
                process = await ContainerCommand.StartAsync(
                    run, container.Runtime, server, RedisResource.ContainerPort, [], cancellationToken).ConfigureAwait(false);
                break;
            case ServerSource.Local:
                process = await StartLocalAsync(Binary()!, cancellationToken).ConfigureAwait(false);
                break;
            case ServerSource.External external:
                UseExternal(external);
                break;
            default:
                server.Annotations.Add(new AbsentFromMachine());
                run.Enter(KnownResourceStates.Absent, "not found: signals go through Postgres");
                return;
        }

        run.Runs(healthy: false);
        await WaitUntilItAnswersAsync(process, source is ServerSource.External, cancellationToken).ConfigureAwait(false);
        run.Runs(healthy: true);
        if (process is not null)
        {
            await run.FollowAsync(process, cancellationToken).ConfigureAwait(false);
        }
    }

    private string? VolumeName => server.Annotations.OfType<DataVolume>().SingleOrDefault()?.Name;

    private string Save => server.Annotations.OfType<RedisSnapshots>().SingleOrDefault()?.ToString() ?? "\"\"";

    private static string? Binary() => Executables.Find("redis-server") ?? Executables.Find("valkey-server");

    private async Task<SupervisedProcess> StartLocalAsync(string binary, CancellationToken cancellationToken)
    {
        var account = ServerAccount.Of(Path.GetFileName(binary) == "valkey-server" ? "valkey" : "redis", required: false);
        var volume = await Volumes.OpenAsync(run, VolumeName, cancellationToken).ConfigureAwait(false);
        var data = account.OwnFolder(Path.Combine(volume, "data"));
        account.RequireAccess(data);
        var password = server.PasswordParameter is { } parameter ? $"requirepass \"{parameter.Value}\"\n" : string.Empty;

        // The password stands in a file: a command line is readable by everybody.
        var settings = account.OwnFile(
            Path.Combine(volume, "redis.conf"),
            $"bind 127.0.0.1\nport {server.PrimaryEndpoint.Port}\n{password}dir \"{data}\"\nsave {Save}\nappendonly no\ndaemonize no\n");
        run.Update(s => s with { Note = $"{binary}, data in {volume}" });
        return await run.StartAsync(
            account.Command(binary, settings), Executables.Environment(), "/", ServerStop.Redis, cancellationToken).ConfigureAwait(false);
    }

    private void UseExternal(ServerSource.External external)
    {
        // host:port,password=…,…
        var address = external.ConnectionString.Split(',')[0].Split(':');
        server.ExternalConnectionString = external.ConnectionString;
        server.PrimaryEndpoint.EndpointAnnotation.Allocated =
            (address[0], address.Length > 1 && int.TryParse(address[1], out var port) ? port : RedisResource.ContainerPort);
        run.Update(s => s with { Note = "from the configuration" });
    }

    private async Task WaitUntilItAnswersAsync(SupervisedProcess? process, bool isExternal, CancellationToken cancellationToken)
    {
        while (process?.Exited.IsCompleted != true)
        {
            try
            {
                var answer = await AskAsync(isExternal ? null : server.PasswordParameter?.Value, cancellationToken).ConfigureAwait(false);

                // An external server may want a password that only its connection string knows: an answer is enough.
                if (isExternal || answer.Contains("+PONG", StringComparison.Ordinal))
                {
                    return;
                }

                if (answer.Contains("WRONGPASS", StringComparison.Ordinal))
                {
                    throw new DistributedApplicationException("The Redis server refuses the generated password.");
                }
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Not up yet, or still loading.
            }

            await Task.Delay(ProbeInterval, cancellationToken).ConfigureAwait(false);
        }

        throw new DistributedApplicationException($"Redis ended with exit code {await process.Exited.ConfigureAwait(false)} while starting.");
    }

    private async Task<string> AskAsync(string? password, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server.PrimaryEndpoint.Host, server.PrimaryEndpoint.Port, cancellationToken).ConfigureAwait(false);
        var stream = client.GetStream();
        var greeting = password is null ? string.Empty : $"*2\r\n$4\r\nAUTH\r\n${Encoding.UTF8.GetByteCount(password)}\r\n{password}\r\n";
        await stream.WriteAsync(Encoding.UTF8.GetBytes(greeting + "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n"), cancellationToken).ConfigureAwait(false);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return await reader.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
    }
}
