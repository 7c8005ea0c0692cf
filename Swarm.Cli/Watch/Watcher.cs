using System.Threading.Channels;
using Swarm.Client;

namespace Swarm.Cli.Watch;

/// <summary>Which messages a watcher reacts to; the others just pass.</summary>
internal sealed record WatchFilter(Guid? Swarm, IReadOnlyList<string> From, IReadOnlyList<string> Types, IReadOnlyList<string> Priorities, string? DirectTo)
{
    public bool Takes(InboxMessage message) =>
        (Swarm is null || Swarm == message.SwarmId)
        && (From.Count == 0 || From.Contains(message.Sender, StringComparer.Ordinal))
        && (Types.Count == 0 || Types.Contains(message.Type, StringComparer.Ordinal))
        && (Priorities.Count == 0 || Priorities.Contains(message.Priority, StringComparer.Ordinal))
        && (DirectTo is null || message.Recipient == DirectTo);
}

/// <summary>
/// Follows an inbox and reacts to what arrives, one reaction at a time. What arrives during one is handled together by the next. The
/// position moves only when a reaction has succeeded, so a restart repeats what was not handled and misses nothing.
/// </summary>
/// <remarks>
/// A failed reaction is repeated with the same messages (and those that came meanwhile) after 1, 2, 4 … up to <see cref="RetryPauseMax"/>;
/// after <see cref="TriesMax"/> tries the watcher ends, and says so: nothing is ever skipped.
/// </remarks>
internal sealed class Watcher(IReaction reaction, WatchFilter filter, int batchMax, TimeProvider clock, Action<string> note)
{
    /// <summary>How many messages wait beside a running reaction; then the stream itself waits.</summary>
    public const int WaitingMax = 1_000;

    /// <summary>Tries of one reaction.</summary>
    public const int TriesMax = 10;

    public static readonly TimeSpan RetryPauseMax = TimeSpan.FromMinutes(1);

    /// <summary>Runs until the stream ends, or, with <paramref name="once"/>, until one reaction has succeeded.</summary>
    /// <param name="handled">Called with the number up to which everything is handled, after each step.</param>
    /// <exception cref="CliException">A reaction failed <see cref="TriesMax"/> times.</exception>
    public async Task RunAsync(IAsyncEnumerable<InboxMessage> stream, bool once, Action<long> handled, CancellationToken cancellation)
    {
        var waiting = Channel.CreateBounded<InboxMessage>(WaitingMax);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var reading = ReadAsync(stream, waiting.Writer, end.Token);
        try
        {
            while (await waiting.Reader.WaitToReadAsync(cancellation))
            {
                var last = 0L;
                var batch = new List<InboxMessage>();
                Take(waiting.Reader, batch, ref last);
                for (var tries = 1; batch.Count > 0 && !await reaction.HandleAsync(batch, cancellation); tries++)
                {
                    if (tries == TriesMax)
                    {
                        throw new CliException(
                            ExitCode.General, $"The reaction failed {TriesMax} times, at message #{batch[0].Seq}.",
                            "Mend it and start again: the position is before that message.");
                    }

                    var pause = TimeSpan.FromSeconds(Math.Min(Math.Pow(2, tries - 1), RetryPauseMax.TotalSeconds));
                    note($"Again in {pause.TotalSeconds:0} s.");
                    await Task.Delay(pause, clock, cancellation);
                    Take(waiting.Reader, batch, ref last);
                }

                handled(last);
                if (once && batch.Count > 0)
                {
                    return;
                }
            }

            await reading;
        }
        finally
        {
            await end.CancelAsync();
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task ReadAsync(IAsyncEnumerable<InboxMessage> stream, ChannelWriter<InboxMessage> waiting, CancellationToken cancellation)
    {
        Exception? failure = null;
        try
        {
            await foreach (var message in stream.WithCancellation(cancellation))
            {
                await waiting.WriteAsync(message, cancellation);
            }
        }
        catch (Exception e)
        {
            failure = e;
            throw;
        }
        finally
        {
            waiting.TryComplete(failure is OperationCanceledException ? null : failure);
        }
    }

    /// <summary>Adds what waits, in order; a message that passes the filter by only moves the position.</summary>
    private void Take(ChannelReader<InboxMessage> waiting, List<InboxMessage> batch, ref long last)
    {
        while (batch.Count < batchMax && waiting.TryRead(out var message))
        {
            last = message.Seq;
            if (filter.Takes(message))
            {
                batch.Add(message);
            }
        }
    }
}
