using Swarm.Core.Delivery;

namespace Swarm.Worker.Push;

/// <summary>One destination (scheme, host, port). Guarded by the lock of <see cref="PushDestinations"/>.</summary>
internal sealed class Destination(string key)
{
    private long _pausedUntil;

    public string Key => key;

    /// <summary>It has answered, and answers still.</summary>
    public bool IsProven { get; set; }

    /// <summary>How many lanes it gets at once: grows with every answer, falls to one with a failure.</summary>
    public int Window { get; set; } = PushDestinations.WindowFirst;

    public int Active { get; set; }

    public bool IsRunnable { get; set; }

    /// <summary>When it last answered, or was called while idle: how long it has been silent.</summary>
    public long HeardAt { get; set; }

    /// <summary>It asked for silence until then. Not guarded.</summary>
    public DateTimeOffset PausedUntil
    {
        get => new(Volatile.Read(ref _pausedUntil), TimeSpan.Zero);
        set => Volatile.Write(ref _pausedUntil, value.UtcTicks);
    }

    /// <summary>Leased lanes that wait for a place.</summary>
    public Queue<Lane> Waiting { get; } = new();

    /// <summary>Recipients that are looked at when a lane of this destination has ended. Guarded by the pusher's lock.</summary>
    public Queue<PeerState> Parked { get; } = new();
}

/// <summary>
/// Which lanes run now. Each destination has its own number of places; those that are new, slow or failing share places of their own, so
/// that however many of them hang, the others go on (issue: a slow or dead destination delays nobody else).
/// </summary>
internal sealed class PushDestinations(TimeProvider time, Action<Lane> start)
{
    /// <summary>Lanes at once to a destination that has not answered yet.</summary>
    public const int WindowFirst = 4;

    /// <summary>Destinations that are remembered while nothing happens there; above it idle ones are forgotten.</summary>
    public const int DestinationsMax = 10_000;

    /// <summary>A destination with calls on their way that has said nothing for this long is not proven any more.</summary>
    public static readonly TimeSpan SilenceMax = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Destination> _all = [];
    private readonly Queue<Destination> _proven = new();
    private readonly Queue<Destination> _unproven = new();
    private readonly List<Lane> _starting = [];
    private int _activeProven;
    private int _activeUnproven;

    public int Active
    {
        get
        {
            lock (_lock)
            {
                return _activeProven + _activeUnproven;
            }
        }
    }

    public Destination Get(string key)
    {
        lock (_lock)
        {
            if (_all.TryGetValue(key, out var known))
            {
                return known;
            }

            if (_all.Count >= DestinationsMax)
            {
                foreach (var idle in _all.Values.Where(d => d is { Active: 0, Waiting.Count: 0, Parked.Count: 0 }).ToList())
                {
                    _all.Remove(idle.Key);
                }
            }

            return _all[key] = new(key);
        }
    }

    /// <summary>How many more deliveries of one recipient are worth leasing: 0 when its places are taken, 1 to probe, else more.</summary>
    public int Room(Destination? destination)
    {
        lock (_lock)
        {
            return destination is null ? WindowFirst * 2
                : destination.Active + destination.Waiting.Count >= destination.Window * 2 ? 0
                : destination.Window == 1 ? (destination.Active + destination.Waiting.Count == 0 ? 1 : 0)
                : destination.IsProven ? PushOptions.LeaseEachMax
                : WindowFirst * 2;
        }
    }

    /// <summary>No lane of it runs or waits.</summary>
    public bool IsIdle(Destination destination)
    {
        lock (_lock)
        {
            return destination.Active + destination.Waiting.Count == 0;
        }
    }

    public void Add(Lane lane)
    {
        lock (_lock)
        {
            lane.Destination.Waiting.Enqueue(lane);
            MakeRunnable(lane.Destination);
            Pick();
        }

        StartPicked();
    }

    /// <summary>An answer, or the lack of one, to a call.</summary>
    public void Heard(Destination destination, bool alive)
    {
        lock (_lock)
        {
            destination.HeardAt = time.GetTimestamp();
            destination.IsProven = alive;
            destination.Window = alive ? Math.Min(destination.Window + 1, PushOptions.LanesPerDestinationMax) : 1;
        }
    }

    public void Ended(Lane lane)
    {
        lock (_lock)
        {
            lane.IsActive = false;
            lane.Destination.Active--;
            if (lane.IsUnproven)
            {
                _activeUnproven--;
            }
            else
            {
                _activeProven--;
            }

            MakeRunnable(lane.Destination);
            Pick();
        }

        StartPicked();
    }

    /// <summary>Destinations that hang give their places back to those that do not.</summary>
    public void DemoteSilent(IEnumerable<Lane> running)
    {
        lock (_lock)
        {
            foreach (var lane in running)
            {
                var destination = lane.Destination;
                if (lane is { IsActive: true, IsUnproven: false } && time.GetElapsedTime(destination.HeardAt) > SilenceMax)
                {
                    destination.IsProven = false;
                    destination.Window = Math.Min(destination.Window, WindowFirst);
                    lane.IsUnproven = true;
                    _activeProven--;
                    _activeUnproven++;
                }
            }

            Pick();
        }

        StartPicked();
    }

    private void MakeRunnable(Destination destination)
    {
        if (!destination.IsRunnable && destination.Waiting.Count > 0 && destination.Active < destination.Window)
        {
            destination.IsRunnable = true;
            (destination.IsProven ? _proven : _unproven).Enqueue(destination);
        }
    }

    private void Pick()
    {
        while (_activeProven < PushOptions.LanesMax && _proven.TryDequeue(out var destination))
        {
            PickFrom(destination);
        }

        while (_activeUnproven < PushOptions.UnprovenLanesMax && _unproven.TryDequeue(out var destination))
        {
            PickFrom(destination);
        }
    }

    /// <summary>One lane, then it is the next one's turn.</summary>
    private void PickFrom(Destination destination)
    {
        destination.IsRunnable = false;
        if (destination.Active < destination.Window && destination.Waiting.TryDequeue(out var lane))
        {
            if (destination.Active++ == 0)
            {
                destination.HeardAt = time.GetTimestamp();
            }

            lane.IsActive = true;
            lane.IsUnproven = !destination.IsProven;
            if (lane.IsUnproven)
            {
                _activeUnproven++;
            }
            else
            {
                _activeProven++;
            }

            _starting.Add(lane);
        }

        MakeRunnable(destination);
    }

    private void StartPicked()
    {
        while (true)
        {
            Lane lane;
            lock (_lock)
            {
                if (_starting.Count == 0)
                {
                    return;
                }

                lane = _starting[^1];
                _starting.RemoveAt(_starting.Count - 1);
            }

            start(lane);
        }
    }
}
