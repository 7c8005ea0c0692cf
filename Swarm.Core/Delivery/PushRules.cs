using System.Text;

namespace Swarm.Core.Delivery;

/// <summary>What becomes of a leased delivery; the numbers are those of <c>settle_deliveries</c>.</summary>
public enum PushOutcome : short
{
    Delivered = 1,

    /// <summary>Its lane is held, then it is tried again.</summary>
    Retry = 2,

    Dead = 3,

    /// <summary>It was not tried: back to where it was.</summary>
    GivenBack = 4,
}

/// <param name="Delay">With <see cref="PushOutcome.Retry"/>: how long its lane is held.</param>
/// <param name="Reason">Why, for everything but a success.</param>
/// <param name="Pause">How long the peer wants to hear nothing at all, of no lane; zero when it did not say.</param>
public readonly record struct PushVerdict(PushOutcome Outcome, TimeSpan Delay, string? Reason, TimeSpan Pause);

/// <summary>Judges the answers of peers (design §3 promise 4): what is a success, what is tried again and when, what is dead. Pure.</summary>
public sealed class PushRules(PushOptions options)
{
    /// <param name="random">From 0 (included) to 1: full jitter, so that many that failed together do not come back together.</param>
    public PushVerdict Judge(PushItem item, in PushAnswer answer, DateTimeOffset now, double random)
    {
        if (answer.IsSuccess)
        {
            return new(PushOutcome.Delivered, TimeSpan.Zero, null, TimeSpan.Zero);
        }

        var asked = answer.Status is 429 or 503 ? RetryAfter.Parse(answer.RetryAfter, now) : null;
        if (asked > options.RetryAfterMax)
        {
            asked = options.RetryAfterMax;
        }

        var reason = Reason(answer, asked);
        if (answer.IsForbidden || IsTerminal(item, answer.Status, now))
        {
            return Dead(reason);
        }

        if (item.Attempts + 1 >= options.AttemptsMax)
        {
            return Dead($"{reason} (tried {item.Attempts + 1} times)");
        }

        var delay = asked is { } wait ? wait + (random * Backoff(0)) : random * Backoff(item.Attempts);
        return TooOld(item, now + delay) ? Dead($"{reason} (no further try before it is too old)") : new(PushOutcome.Retry, delay, reason, asked ?? TimeSpan.Zero);
    }

    /// <summary>Whether its receiver would refuse it as too old at that time.</summary>
    public bool TooOld(PushItem item, DateTimeOffset at) => at - item.SentAt > options.AgeMax;

    private bool IsTerminal(PushItem item, int status, DateTimeOffset now) => status switch
    {
        // A redirect is not followed; like a refusal it may be a peer that is just being set up.
        401 or 403 or 404 or (>= 300 and < 400) => now - (item.RefusedSince ?? now) >= options.RefusalTime,
        408 or 425 or 429 => false,
        _ => status is >= 400 and < 500,
    };

    private TimeSpan Backoff(int attempts)
    {
        var factor = Math.Pow(2, Math.Min(attempts, 30));
        return options.BackoffFirst * factor < options.BackoffMax ? options.BackoffFirst * factor : options.BackoffMax;
    }

    private static PushVerdict Dead(string reason) => new(PushOutcome.Dead, TimeSpan.Zero, Shorten(reason), TimeSpan.Zero);

    private static string Reason(in PushAnswer answer, TimeSpan? asked) =>
        Shorten(asked is { } wait ? $"{answer.Reason}; asked to wait {Math.Ceiling(wait.TotalSeconds)} s" : answer.Reason);

    /// <summary>A peer's words on their way into the database: bounded, one line, no U+0000.</summary>
    private static string Shorten(string reason)
    {
        var text = new StringBuilder();
        var bytes = 0;
        foreach (var rune in reason.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > PushOptions.ReasonBytesMax)
            {
                break;
            }

            text.Append(Rune.IsControl(rune) ? new Rune(' ') : rune);
        }

        return text.ToString();
    }
}
