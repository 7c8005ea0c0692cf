namespace Swarm.ServiceDefaults.Egress;

/// <summary>
/// A circuit breaker a destination. Closed: calls go. After <see cref="FailuresMax"/> failures in a row it opens: no call goes for a
/// while. Then it is half open: one call goes as a probe, and its outcome closes or opens it again. A probe that reports nothing
/// within <see cref="ProbeTimeMax"/> counts as lost, and the next caller is the probe, so half open cannot last.
/// </summary>
/// <remarks>Each replica has its own. Only destinations in trouble are kept; beyond <see cref="DestinationsMax"/> the one least recently in use is forgotten.</remarks>
public sealed class DestinationBreaker(TimeProvider time)
{
    /// <summary>Failures in a row that open it.</summary>
    public const int FailuresMax = 5;

    /// <summary>Destinations in trouble that are remembered.</summary>
    public const int DestinationsMax = 10_000;

    /// <summary>How long it stays open the first time; twice as long after each failed probe.</summary>
    public static readonly TimeSpan OpenTimeFirst = TimeSpan.FromSeconds(5);

    /// <summary>The longest that it stays open.</summary>
    public static readonly TimeSpan OpenTimeMax = TimeSpan.FromMinutes(5);

    /// <summary>Longer than the longest call (<see cref="GuardedHttp.TimeMax"/>), so that a slow probe is not doubled.</summary>
    public static readonly TimeSpan ProbeTimeMax = GuardedHttp.TimeMax + TimeSpan.FromSeconds(5);

    /// <summary>When to ask again while another's probe is out.</summary>
    public static readonly TimeSpan ProbePause = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, LinkedListNode<Circuit>> _circuits = [];

    /// <summary>The most recently used first.</summary>
    private readonly LinkedList<Circuit> _order = new();

    /// <summary>Of the steady clock: a step of the other must not keep a circuit open.</summary>
    private TimeSpan Now => time.GetElapsedTime(0);

    private enum State
    {
        Closed,
        Open,
        HalfOpen,
    }

    /// <summary>Destinations in trouble now.</summary>
    public int Count
    {
        get
        {
            lock (_circuits)
            {
                return _circuits.Count;
            }
        }
    }

    /// <summary>Asks whether to call. Who is let in reports the outcome.</summary>
    /// <param name="destination"><see cref="EgressUrl.Destination"/>.</param>
    /// <param name="retryAfter">When to ask again; zero when let in.</param>
    public bool TryEnter(string destination, out TimeSpan retryAfter)
    {
        lock (_circuits)
        {
            retryAfter = TimeSpan.Zero;
            if (!_circuits.TryGetValue(destination, out var node))
            {
                return true;
            }

            Touch(node);
            var circuit = node.Value;
            var left = circuit.Until - Now;
            if (circuit.State != State.Closed && left > TimeSpan.Zero)
            {
                retryAfter = circuit.State == State.Open || left < ProbePause ? left : ProbePause;
                return false;
            }

            if (circuit.State != State.Closed)
            {
                circuit.State = State.HalfOpen;
                circuit.Until = Now + ProbeTimeMax;
            }

            return true;
        }
    }

    /// <summary>The outcome of a call: whether the destination is alive. Any answer that shows it is counts as success, a refusal too.</summary>
    public void Report(string destination, bool success)
    {
        lock (_circuits)
        {
            _circuits.TryGetValue(destination, out var node);
            if (success)
            {
                if (node is not null)
                {
                    Forget(node);
                }

                return;
            }

            var circuit = (node ?? Remember(destination)).Value;
            if (node is not null)
            {
                Touch(node);
            }

            // A failure while it is open is of a call that began before.
            if (circuit.State == State.HalfOpen || (circuit.State == State.Closed && ++circuit.Failures >= FailuresMax))
            {
                circuit.State = State.Open;
                circuit.Until = Now + circuit.OpenTime;
                circuit.OpenTime = circuit.OpenTime * 2 < OpenTimeMax ? circuit.OpenTime * 2 : OpenTimeMax;
            }
        }
    }

    private LinkedListNode<Circuit> Remember(string destination)
    {
        if (_circuits.Count >= DestinationsMax)
        {
            Forget(_order.Last!);
        }

        var node = _order.AddFirst(new Circuit(destination));
        _circuits.Add(destination, node);
        return node;
    }

    private void Touch(LinkedListNode<Circuit> node)
    {
        _order.Remove(node);
        _order.AddFirst(node);
    }

    private void Forget(LinkedListNode<Circuit> node)
    {
        _order.Remove(node);
        _circuits.Remove(node.Value.Destination);
    }

    private sealed class Circuit(string destination)
    {
        public string Destination => destination;

        public State State { get; set; }

        public int Failures { get; set; }

        /// <summary>The end of open, or the deadline of the probe, on the steady clock.</summary>
        public TimeSpan Until { get; set; }

        /// <summary>How long it will stay open the next time.</summary>
        public TimeSpan OpenTime { get; set; } = OpenTimeFirst;
    }
}
