using System.Runtime.InteropServices;
using Swarm.Cli;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;

using var interrupted = new CancellationTokenSource();
var exitCodeOfSignal = ExitCode.Interrupted;

// The first Ctrl-C or SIGTERM ends the command in order; a second Ctrl-C ends the process at once.
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);

return await new CommandLine(Terminal.OfProcess(), CliEnvironment.OfProcess()).RunAsync(args, () => exitCodeOfSignal, interrupted.Token);

void Interrupt(PosixSignalContext signal)
{
    signal.Cancel = !interrupted.IsCancellationRequested;
    exitCodeOfSignal = signal.Signal == PosixSignal.SIGTERM ? ExitCode.Terminated : ExitCode.Interrupted;
    interrupted.Cancel();
}
