using System.Runtime.InteropServices;
using Aspire.Hosting.Publishing;

namespace Aspire.Hosting.Running;

/// <summary>An app host on a console: starts, shows how it goes, waits for Ctrl-C, stops.</summary>
internal sealed class ConsoleRun(DistributedApplication app, DistributedApplicationBuilder builder)
{
    private const int LogTailLines = 20;
    private readonly TaskCompletionSource _stop = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (builder.ExecutionContext.IsPublishMode)
            {
                await ManifestPublisher.PublishAsync(builder, cancellationToken).ConfigureAwait(false);
                return;
            }

            await RunUntilStoppedAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (DistributedApplicationException e)
        {
            await FailAsync(e.Message).ConfigureAwait(false);
        }
    }

    private async Task RunUntilStoppedAsync(CancellationToken cancellationToken)
    {
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
        using var cancelled = cancellationToken.Register(() => _stop.TrySetResult());
        using var parent = ParentWatch.Start(() => _stop.TrySetResult());

        await app.StartAsync(cancellationToken).ConfigureAwait(false);
        var launcher = app.Launcher!;
        using var table = new ResourceTable(launcher);
        var settled = launcher.SettledAsync(cancellationToken);
        var first = await Task.WhenAny(settled, launcher.Failed, _stop.Task).ConfigureAwait(false);
        if (launcher.Failed.IsCompleted)
        {
            var failure = await launcher.Failed.ConfigureAwait(false);
            table.Finish();
            await ShowTailAsync(failure).ConfigureAwait(false);
            await app.StopAsync(CancellationToken.None).ConfigureAwait(false);
            await FailAsync($"{failure.Resource} did not start. {failure.Message}").ConfigureAwait(false);
            return;
        }

        if (first == settled)
        {
            table.Settled();
        }

        await _stop.Task.ConfigureAwait(false);
        table.Finish();
        Console.WriteLine("Stopping …");
        await app.StopAsync(CancellationToken.None).ConfigureAwait(false);
        Console.WriteLine("Stopped.");
    }

    private void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        _stop.TrySetResult();
    }

    private static async Task ShowTailAsync(LaunchFailure failure)
    {
        if (!File.Exists(failure.LogFile))
        {
            return;
        }

        var tail = (await File.ReadAllLinesAsync(failure.LogFile).ConfigureAwait(false)).TakeLast(LogTailLines).ToList();
        if (tail.Count > 0)
        {
            await Console.Error.WriteLineAsync($"The end of {failure.LogFile}:").ConfigureAwait(false);
            tail.ForEach(line => Console.Error.WriteLine($"    {line}"));
        }
    }

    private static async Task FailAsync(string message)
    {
        Environment.ExitCode = 1;
        await Console.Error.WriteLineAsync($"error: {message}").ConfigureAwait(false);
    }
}
