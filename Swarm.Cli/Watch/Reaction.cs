using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Watch;

/// <summary>What a watcher does with messages; one at a time. False when it failed and is to be tried again.</summary>
internal interface IReaction
{
    Task<bool> HandleAsync(IReadOnlyList<InboxMessage> messages, CancellationToken cancellation);
}

/// <summary>Runs a command with the messages on standard input, one JSON object a line; exit 0 is success.</summary>
/// <param name="onProblem">Told what went wrong.</param>
internal sealed class CommandReaction(IReadOnlyList<string> command, string agent, Action<string> onProblem) : IReaction
{
    public async Task<bool> HandleAsync(IReadOnlyList<InboxMessage> messages, CancellationToken cancellation)
    {
        var last = messages[^1];
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardInput = true, StandardInputEncoding = new UTF8Encoding(false) };

        // For scripts without a JSON reader: names and ids, which follow strict grammars; never the text.
        start.Environment["SWARM_WATCH_AGENT"] = agent;
        start.Environment["SWARM_WATCH_COUNT"] = $"{messages.Count}";
        start.Environment["SWARM_WATCH_SENDER"] = SafeName.Of(last.Sender);
        start.Environment["SWARM_WATCH_SEQ"] = $"{last.Seq}";
        start.Environment["SWARM_WATCH_SWARM_ID"] = last.SwarmId.ToString("D");
        return await External.RunAsync(start, string.Concat(messages.Select(m => JsonText.Line(CliJson.Node(m)) + "\n")), onProblem, cancellation);
    }
}

/// <summary>Types a one-line notice into a tmux session: literally, with names that cannot be commands, and then Enter (ASP §11.3).</summary>
internal sealed class TmuxReaction(string target, TimeProvider clock, Action<string> onProblem) : IReaction
{
    /// <summary>Between the text and Enter, so that the program in the session takes them apart.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    public async Task<bool> HandleAsync(IReadOnlyList<InboxMessage> messages, CancellationToken cancellation) =>
        await TypeAsync(["-l", "--", Notice(messages)], cancellation)
        && await PausedAsync(cancellation)
        && await TypeAsync(["C-m"], cancellation);

    /// <summary>Who wrote; nothing that anybody else chose the wording of.</summary>
    internal static string Notice(IReadOnlyList<InboxMessage> messages)
    {
        var senders = messages.Select(m => SafeName.Of(m.Sender)).Distinct().ToList();
        var from = senders.Count > 3 ? $"{string.Join(", ", senders.Take(3))} and others" : string.Join(", ", senders);
        return $"[swarm] {messages.Count} new message{(messages.Count == 1 ? "" : "s")} from {from} (#{messages[^1].Seq})";
    }

    private async Task<bool> PausedAsync(CancellationToken cancellation)
    {
        await Task.Delay(Pause, clock, cancellation);
        return true;
    }

    private Task<bool> TypeAsync(string[] keys, CancellationToken cancellation) =>
        External.RunAsync(new ProcessStartInfo("tmux", ["send-keys", "-t", target, .. keys]), "", onProblem, cancellation);
}

/// <summary>A sender's text id, or a fixed word when it is none: ids come from others, and end up in terminals and scripts (ASP §11.3).</summary>
internal static class SafeName
{
    public const string Unknown = "unknown";

    private const int LengthMax = 256;

    public static string Of(string name) =>
        name.Length is > 0 and <= LengthMax && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-') ? name : Unknown;
}

/// <summary>A program of the user's, run to its end.</summary>
internal static class External
{
    public static async Task<bool> RunAsync(ProcessStartInfo start, string input, Action<string> onProblem, CancellationToken cancellation)
    {
        start.RedirectStandardInput = true;
        try
        {
            using var process = Process.Start(start)!;
            try
            {
                await FeedAsync(process, input, cancellation);
                await process.WaitForExitAsync(cancellation);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }

            if (process.ExitCode == 0)
            {
                return true;
            }

            onProblem($"{start.FileName} ended with exit code {process.ExitCode}.");
            return false;
        }
        catch (Win32Exception e)
        {
            onProblem($"{start.FileName} cannot be run: {e.Message}");
            return false;
        }
    }

    private static async Task FeedAsync(Process process, string input, CancellationToken cancellation)
    {
        try
        {
            await process.StandardInput.WriteAsync(input.AsMemory(), cancellation);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It does not read, or not to the end: its exit code says whether that was right.
        }
    }
}
