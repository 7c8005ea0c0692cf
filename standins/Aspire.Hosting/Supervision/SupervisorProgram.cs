using System.Runtime.InteropServices;
using System.Text.Json;

namespace Aspire.Hosting.Supervision;

/// <summary>
/// The supervisor: a process of its own, in a session of its own, that starts the app host's processes, holds their locks, and
/// stops them in order when the pipe from the app host ends, however the app host ended.
/// </summary>
internal static class SupervisorProgram
{
    public const string Argument = "supervise";

    public static async Task<int> Main(string[] args)
    {
        if (args is not [Argument])
        {
            await Console.Error.WriteLineAsync("This is a library with a supervisor inside; run an app host instead.").ConfigureAwait(false);
            return 2;
        }

        _ = Native.NewSession();
        var (pipe, output) = StandardStreams.Take();
        using var supervisor = new Supervisor(update => Send(output, update));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => End(context, supervisor));
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => End(context, supervisor));
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => context.Cancel = true);

        using var input = new StreamReader(pipe);
        while (await input.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            var request = JsonSerializer.Deserialize(line, MessageJson.Default.Request)!;
            if (request.Operation == Operations.End)
            {
                await supervisor.EndAsync().ConfigureAwait(false);
                Send(output, new Event { Kind = Kinds.Ended, Id = request.Id });
                return 0;
            }

            supervisor.Handle(request);
        }

        await supervisor.EndAsync().ConfigureAwait(false);
        return 0;
    }

    private static void End(PosixSignalContext context, Supervisor supervisor)
    {
        context.Cancel = true;
        supervisor.EndAsync().ContinueWith(_ => Environment.Exit(0), TaskScheduler.Default);
    }

    private static void Send(Stream output, Event update)
    {
        lock (output)
        {
            try
            {
                output.Write(JsonSerializer.SerializeToUtf8Bytes(update, MessageJson.Default.Event));
                output.Write("\n"u8);
                output.Flush();
            }
            catch (IOException)
            {
                // The app host is gone; the end of the input pipe says what to do about it.
            }
        }
    }
}
