using System.Globalization;
using System.Text;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Faults;

/// <summary>Who takes part in a run, and how much they say.</summary>
internal sealed record Cast
{
    /// <summary>Hosted; the first is the swarm's master. Each of them sends through the Hub API in its own way (<see cref="Load"/>).</summary>
    public string[] Hosted { get; init; } = ["alice", "bob", "carol", "dave"];

    /// <summary>External agents, which sign by themselves and post to the doors.</summary>
    public string[] External { get; init; } = ["eve", "frank", "grace"];

    /// <summary>Whose inboxes are consumed as a work queue.</summary>
    public string[] Queues { get; init; } = ["bob", "carol"];

    /// <summary>How many consumers compete for each queue.</summary>
    public int ConsumersPerQueue { get; init; } = 2;

    /// <summary>How long a sender rests between two messages.</summary>
    public TimeSpan Pace { get; init; } = TimeSpan.FromMilliseconds(60);

    /// <summary>How long a consumer leases, in seconds.</summary>
    public int LeaseSeconds { get; init; } = 3;

    /// <summary>A consumer drops every so many-th lease as if it had died.</summary>
    public int DiesEvery { get; init; } = 25;

    /// <summary>How long a scheduled message waits at most.</summary>
    public TimeSpan ScheduleMax { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The time to live of messages that have one: some expire, most do not. Null for none.</summary>
    public TimeSpan? TimeToLive { get; init; } = TimeSpan.FromSeconds(6);
}

/// <summary>
/// Senders that never give up: each says one thing after the other and repeats it, the same bytes or the same key, at any replica until it
/// is answered, as a peer would. Each lane has one sender, so its order is known. Forgers mix in.
/// </summary>
internal sealed class Load(IReadOnlyList<Replica> replicas, Scene scene, Cast cast, History history, int seed)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(50);

    private int _number;

    /// <summary>Everybody who is a member, and so gets what is broadcast by others.</summary>
    private IEnumerable<string> Members => cast.Hosted.Concat(cast.External).Concat(scene.Remote);

    /// <summary>Sends until told to stop; what is under way then is still brought to an answer, so that nothing stays unknown.</summary>
    /// <param name="giveUp">Ends even that.</param>
    public Task RunAsync(CancellationToken stop, CancellationToken giveUp)
    {
        var random = new Random(seed);
        var senders = new List<Func<Random, CancellationToken, Task>>();
        foreach (var sender in cast.External)
        {
            // Also to a recipient that nobody consumes.
            foreach (var recipient in cast.Queues.Append(cast.Hosted[^1]))
            {
                senders.Add((_, end) => DoorAsync(sender, recipient, forged: false, end));
            }
        }

        var (master, all) = (cast.Hosted[0], cast.Queues.Concat(scene.Remote).ToArray());
        senders.Add((r, end) => ForgedAsync(r, end));
        senders.Add((r, end) => HubAsync(master, all[r.Next(all.Length)], r.Next(4) == 0 ? "high" : "normal", null, null, end));
        senders.Add((_, end) => HubAsync(cast.Hosted[1], "broadcast", "normal", null, null, end));
        senders.Add((r, end) => HubAsync(cast.Hosted[2], cast.Queues[0], "normal", cast.ScheduleMax * r.NextDouble(), null, end));
        senders.Add((r, end) => HubAsync(cast.Hosted[3], all[r.Next(all.Length)], "low", null, cast.TimeToLive * (0.2 + r.NextDouble()), end));
        return Task.WhenAll(senders.Select(send => RepeatAsync(send, new(random.Next()), stop, giveUp)));
    }

    /// <summary>The key of a message, which its content begins with.</summary>
    public static string KeyOf(string content) => content.Split(' ', 2)[0];

    private async Task RepeatAsync(Func<Random, CancellationToken, Task> send, Random random, CancellationToken stop, CancellationToken giveUp)
    {
        await Task.Yield();
        using var pace = new PeriodicTimer(cast.Pace);
        while (!stop.IsCancellationRequested && !giveUp.IsCancellationRequested)
        {
            await send(random, giveUp);
            await pace.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private async Task DoorAsync(string sender, string recipient, bool forged, CancellationToken giveUp)
    {
        var offer = Offer(sender, [recipient], "normal", null, null);
        var id = Guid.NewGuid();
        var wire = scene.Signed(sender, recipient, ContentOf(offer.Key), id);
        if (forged)
        {
            // One letter of what was signed is another now.
            wire = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(wire).Replace("says something", "says anything!", StringComparison.Ordinal));
        }

        await PersistAsync(offer, replica => replica.Door.PostMessageAsync(recipient, wire), _ => id.ToString(), giveUp);
    }

    private Task ForgedAsync(Random random, CancellationToken giveUp) =>
        DoorAsync(cast.External[random.Next(cast.External.Length)], cast.Queues[random.Next(cast.Queues.Length)], forged: true, giveUp);

    private async Task HubAsync(string sender, string to, string priority, TimeSpan? dueIn, TimeSpan? liveFor, CancellationToken giveUp)
    {
        var recipients = to == "broadcast" ? [.. Members.Where(m => m != sender)] : new[] { to };
        var due = dueIn is { } wait ? Cut(history.Now + wait) : (DateTimeOffset?)null;
        var expires = liveFor is { } life ? Cut(history.Now + life) : (DateTimeOffset?)null;
        var offer = Offer(sender, recipients, priority, due, expires);
        var body = new
        {
            from = sender,
            swarm_id = scene.Swarm.Value,
            to,
            content = ContentOf(offer.Key),
            priority,
            deliver_at = Text(due),
            expires_at = Text(expires),
        };
        await PersistAsync(
            offer,
            replica => replica.Hub.PostHubAsync("/hub/v1/messages", body, offer.Key),
            answer => answer["message_id"].GetString()!,
            giveUp);
    }

    /// <summary>Asks one replica after the other until one has an answer. 503 and broken connections are none.</summary>
    private async Task PersistAsync(Offered offer, Func<Replica, Task<Answer>> call, Func<Answer, string> idOf, CancellationToken giveUp)
    {
        using var pause = new PeriodicTimer(RetryAfter);
        for (var attempt = offer.Key[^1]; !giveUp.IsCancellationRequested; attempt++)
        {
            try
            {
                var answer = await call(replicas[attempt % replicas.Count]);
                switch ((int)answer.Status)
                {
                    case 200:
                        history.Answered.Enqueue(new(offer.Key, idOf(answer), history.Now));
                        return;
                    case 503 or 429:
                        break;
                    case >= 400 and < 500:
                        history.Refused.Enqueue(new(offer.Key, (int)answer.Status, history.Now));
                        return;
                    default:
                        history.Wrong.Enqueue($"{offer.Key} was answered with {(int)answer.Status} {answer.Text}");
                        break;
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
            {
            }

            Interlocked.Increment(ref history.Failures);
            await pause.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private Offered Offer(string sender, IReadOnlyList<string> recipients, string priority, DateTimeOffset? due, DateTimeOffset? expires)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"m{Interlocked.Increment(ref _number):D6}");
        return history.Offered[key] = new(key, sender, recipients, priority, history.Now, due, expires);
    }

    private static string ContentOf(string key) => $"{key} says something";

    private static DateTimeOffset Cut(DateTimeOffset at) => at.AddTicks(-(at.Ticks % TimeSpan.TicksPerMillisecond));

    private static string? Text(DateTimeOffset? at) => at?.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
