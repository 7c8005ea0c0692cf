using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>From the command that starts the AppHost to a healthy Api, with everything built and the database there (design §9, start).</summary>
internal static class StartScenario
{
    private static readonly TimeSpan HealthyMax = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    public static Command Command()
    {
        var command = new Command(
            "start",
            """
            Time from ./run.sh, and from dotnet run --no-build, to a healthy node. A first start, which is not counted, builds what must be built
            and makes the database.

            Examples:
              start --runs 5
              start --runs 1 --json
            """);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(ReportOptions report, CancellationToken cancellation)
    {
        var machine = Machine.Measure();
        var solution = SolutionFolder.Find();

        // As root, Postgres runs as another user, who must be able to reach its data.
        var area = Environment.IsPrivilegedProcess ? $"/var/lib/swarm/start-{Guid.NewGuid():N}" : Directory.CreateTempSubdirectory("swarm-start-").FullName;
        var ports = FreePorts(3);
        string[] settings =
        [
            $"--Launcher:DataArea={area}", $"--Swarm:DataFolder={Path.Combine(area, "node")}",
            $"--Swarm:Ports:http={ports[0]}", $"--Swarm:Ports:https={ports[1]}", $"--Swarm:Ports:grpc={ports[2]}",
        ];
        string[] script = ["./run.sh", .. settings];
        string[] run = ["dotnet", "run", "--no-build", "--project", "Swarm.AppHost", "--", .. settings];
        var runs = new List<Run>();
        try
        {
            await Progress.RunAsync("Starting", 1 + report.Runs * 2, async tick =>
            {
                await StartAndStopAsync(solution, script, ports[0], cancellation);
                for (var done = 1; runs.Count < report.Runs;)
                {
                    tick(done++);
                    var byScript = await StartAndStopAsync(solution, script, ports[0], cancellation);
                    tick(done++);
                    var byRun = await StartAndStopAsync(solution, run, ports[0], cancellation);
                    runs.Add(new(new()
                    {
                        ["run_sh_seconds"] = Math.Round(byScript.TotalSeconds, 2),
                        ["dotnet_run_no_build_seconds"] = Math.Round(byRun.TotalSeconds, 2),
                    }));
                }
            });
        }
        finally
        {
            Directory.Delete(area, recursive: true);
        }

        return Report.Print("start", new JsonObject(), runs, machine, report);
    }

    private static async Task<TimeSpan> StartAndStopAsync(string solution, string[] command, int port, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = solution, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.FileName = command[0].StartsWith("./", StringComparison.Ordinal) ? Path.Combine(solution, command[0]) : command[0];
        var startedAt = Stopwatch.GetTimestamp();
        using var process = Process.Start(start)!;
        var output = new List<string>();
        process.OutputDataReceived += (_, e) => Keep(e.Data);
        process.ErrorDataReceived += (_, e) => Keep(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
            var health = new Uri($"http://127.0.0.1:{port}/health");
            while (!await IsHealthyAsync(client, health, cancellation))
            {
                if (process.HasExited || Stopwatch.GetElapsedTime(startedAt) > HealthyMax)
                {
                    throw new InvalidOperationException($"{command[0]} did not become healthy:\n{string.Join('\n', output.TakeLast(20))}");
                }

                await Task.Delay(Look, TimeProvider.System, cancellation);
            }

            return Stopwatch.GetElapsedTime(startedAt);
        }
        finally
        {
            // In order, as an operator would; both commands end in dotnet run, which hands the signal on.
            using (var kill = Process.Start("kill", ["-TERM", process.Id.ToString()]))
            {
                await kill.WaitForExitAsync(CancellationToken.None);
            }

            await process.WaitForExitAsync(CancellationToken.None);
        }

        void Keep(string? line)
        {
            lock (output)
            {
                output.Add(line ?? "");
            }
        }
    }

    private static async Task<bool> IsHealthyAsync(HttpClient client, Uri health, CancellationToken cancellation)
    {
        try
        {
            using var answer = await client.GetAsync(health, cancellation);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    private static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        try
        {
            return [.. listeners.Select(l =>
            {
                l.Start();
                return ((IPEndPoint)l.LocalEndpoint).Port;
            })];
        }
        finally
        {
            foreach (var listener in listeners)
            {
                listener.Dispose();
            }
        }
    }
}
