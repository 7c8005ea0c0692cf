using Swarm.ServiceDefaults.Egress;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Egress;

public sealed class DestinationBreakerTests(ITestOutputHelper output)
{
    private const string Peer = "https://peer.example.com:443";

    private readonly SteadyTime _time = new();

    [Fact]
    public void It_opens_at_the_fifth_failure_in_a_row_and_not_before()
    {
        var breaker = new DestinationBreaker(_time);
        Fail(breaker, 4);
        breaker.Report(Peer, success: true);
        Fail(breaker, 4);
        Assert.True(breaker.TryEnter(Peer, out _));
        Fail(breaker, 1);

        Assert.False(breaker.TryEnter(Peer, out var retryAfter));
        Assert.Equal(DestinationBreaker.OpenTimeFirst, retryAfter);
        Assert.True(breaker.TryEnter("https://other.example.com:443", out _));
    }

    [Fact]
    public void One_probe_goes_and_its_success_closes()
    {
        var breaker = Opened();
        _time.Now += DestinationBreaker.OpenTimeFirst;

        Assert.True(breaker.TryEnter(Peer, out _));
        Assert.False(breaker.TryEnter(Peer, out var retryAfter));
        Assert.Equal(DestinationBreaker.ProbePause, retryAfter);
        breaker.Report(Peer, success: true);

        Assert.True(breaker.TryEnter(Peer, out _));
        Assert.True(breaker.TryEnter(Peer, out _));
        Assert.Equal(0, breaker.Count);
    }

    [Fact]
    public void Each_failed_probe_doubles_the_pause_up_to_its_cap()
    {
        var breaker = Opened();
        var pauses = new List<double>();
        for (var i = 0; i < 9; i++)
        {
            Assert.False(breaker.TryEnter(Peer, out var retryAfter));
            pauses.Add(retryAfter.TotalSeconds);
            _time.Now += retryAfter;
            Assert.True(breaker.TryEnter(Peer, out _));
            breaker.Report(Peer, success: false);
        }

        Assert.Equal([5, 10, 20, 40, 80, 160, 300, 300, 300], pauses);
    }

    [Fact]
    public void A_probe_whose_caller_vanished_gives_way_to_the_next()
    {
        var breaker = Opened();
        _time.Now += DestinationBreaker.OpenTimeFirst;
        Assert.True(breaker.TryEnter(Peer, out _)); // And is never heard of again.

        _time.Now += DestinationBreaker.ProbeTimeMax - TimeSpan.FromMilliseconds(1);
        Assert.False(breaker.TryEnter(Peer, out var retryAfter));
        Assert.Equal(TimeSpan.FromMilliseconds(1), retryAfter);
        _time.Now += retryAfter;

        Assert.True(breaker.TryEnter(Peer, out _));
        Assert.False(breaker.TryEnter(Peer, out _));
    }

    [Fact]
    public void Whatever_happens_it_lets_one_probe_at_a_time_and_never_sticks()
    {
        var random = new Random(Seed.Take(output));
        for (var run = 0; run < 300; run++)
        {
            var breaker = new DestinationBreaker(_time);
            var probesSince = (TimeSpan?)null;
            var troubled = false;
            for (var step = 0; step < 200; step++)
            {
                switch (random.Next(4))
                {
                    case 0:
                        _time.Now += TimeSpan.FromMilliseconds(random.Next(20_000));
                        break;
                    case 1:
                        breaker.Report(Peer, success: false);
                        (troubled, probesSince) = (true, null);
                        break;
                    case 2 when random.Next(10) == 0:
                        breaker.Report(Peer, success: true);
                        (troubled, probesSince) = (false, null);
                        Assert.True(breaker.TryEnter(Peer, out _));
                        break;
                    default:
                        var entered = breaker.TryEnter(Peer, out var retryAfter);
                        Assert.True(troubled || entered);
                        Assert.True(entered == (retryAfter == TimeSpan.Zero));
                        Assert.InRange(retryAfter, TimeSpan.Zero, DestinationBreaker.OpenTimeMax);
                        if (entered && troubled && !breaker.TryEnter(Peer, out _))
                        {
                            // It was a probe: the one before it has reported, or is overdue.
                            Assert.True(probesSince is null || _time.Now - probesSince >= DestinationBreaker.ProbeTimeMax);
                            probesSince = _time.Now;
                        }

                        break;
                }
            }

            // Who comes back when told to is let in after a bounded time, though no outcome is ever reported again.
            var start = _time.Now;
            TimeSpan wait;
            while (!breaker.TryEnter(Peer, out wait))
            {
                _time.Now += wait;
                Assert.True(_time.Now - start <= DestinationBreaker.OpenTimeMax + DestinationBreaker.ProbeTimeMax);
            }
        }
    }

    [Fact]
    public void It_remembers_so_many_destinations_and_forgets_the_least_recently_used()
    {
        var breaker = new DestinationBreaker(_time);
        Fail(breaker, DestinationBreaker.FailuresMax);
        for (var i = 0; i < DestinationBreaker.DestinationsMax - 1; i++)
        {
            breaker.Report($"https://d{i}:443", success: false);
        }

        Assert.False(breaker.TryEnter(Peer, out _)); // Used again: now d0 is the oldest.
        breaker.Report("https://one-more:443", success: false);

        Assert.Equal(DestinationBreaker.DestinationsMax, breaker.Count);
        Assert.False(breaker.TryEnter(Peer, out _));
        for (var i = 0; i < DestinationBreaker.DestinationsMax; i++)
        {
            breaker.Report($"https://e{i}:443", success: false);
        }

        Assert.Equal(DestinationBreaker.DestinationsMax, breaker.Count);
        Assert.True(breaker.TryEnter(Peer, out _));
    }

    private static void Fail(DestinationBreaker breaker, int times)
    {
        for (var i = 0; i < times; i++)
        {
            breaker.Report(Peer, success: false);
        }
    }

    private DestinationBreaker Opened()
    {
        var breaker = new DestinationBreaker(_time);
        Fail(breaker, DestinationBreaker.FailuresMax);
        return breaker;
    }

    /// <summary>A steady clock that a test moves; the other clock stands in another century, and nobody may ask it.</summary>
    private sealed class SteadyTime : TimeProvider
    {
        public TimeSpan Now { get; set; } = TimeSpan.FromDays(1);

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;

        public override DateTimeOffset GetUtcNow() => throw new InvalidOperationException("The breaker asked for the time of day.");
    }
}
