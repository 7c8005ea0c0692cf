using System.Net;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;

namespace Swarm.Tests.Limits;

public sealed class RateLimiterTests
{
    private static readonly RateKey Alice = RateKey.Sender(new AgentId(1));
    private static readonly RateKey Bob = RateKey.Sender(new AgentId(2));

    private readonly SettableTime _time = new(new(2026, 11, 21, 12, 0, 20, TimeSpan.Zero));

    [Fact]
    public void A_minute_holds_its_limit_and_the_next_begins_anew()
    {
        var limiter = new RateLimiter(new() { SenderPerMinute = 3 }, _time);

        Assert.Equal([(true, 2), (true, 1), (true, 0), (false, 0)], Enumerable.Range(0, 4).Select(_ => limiter.Take(Alice)).Select(d => (d.IsAllowed, d.Remaining)));
        var refused = limiter.Take(Alice);
        Assert.Equal((40, 3, _time.Now.AddSeconds(40).ToUnixTimeSeconds()), (refused.RetryAfterSeconds, refused.Limit, refused.ResetsAt));
        Assert.True(limiter.Take(Bob).IsAllowed);

        _time.Now += TimeSpan.FromSeconds(39.999);
        Assert.Equal((false, 1), limiter.Take(Alice) is var late ? (late.IsAllowed, late.RetryAfterSeconds) : default);
        _time.Now += TimeSpan.FromMilliseconds(1);
        Assert.Equal((true, 2), limiter.Take(Alice) is var next ? (next.IsAllowed, next.Remaining) : default);
    }

    [Fact]
    public void The_longest_wait_is_a_minute_and_the_shortest_a_second()
    {
        var limiter = new RateLimiter(new() { SenderPerMinute = 1 }, _time);
        for (var second = 0; second < 120; second++)
        {
            limiter.Take(Alice);
            Assert.InRange(limiter.Take(Alice).RetryAfterSeconds, 1, 60);
            _time.Now += TimeSpan.FromSeconds(1);
        }
    }

    [Fact]
    public void A_look_takes_nothing_and_zero_is_no_limit()
    {
        var limiter = new RateLimiter(new() { SenderPerMinute = 1, SwarmPerMinute = 0 }, _time);

        Assert.Equal((true, 1), limiter.Peek(Alice) is var look ? (look.IsAllowed, look.Remaining) : default);
        limiter.Take(Alice);
        Assert.Equal((false, 40), limiter.Peek(Alice) is var spent ? (spent.IsAllowed, spent.RetryAfterSeconds) : default);
        Assert.All(Enumerable.Range(0, 100), _ => Assert.Equal((true, 0), limiter.Take(RateKey.Swarm(1)) is var free ? (free.IsAllowed, free.Limit) : default));
    }

    [Fact]
    public void What_is_taken_at_once_may_be_more_than_is_left_and_then_nothing_is()
    {
        var limiter = new RateLimiter(new() { SenderMegabytesPerMinute = 1 }, _time);
        var volume = RateKey.SenderVolume(new AgentId(1));
        Assert.Equal(
            [(true, 1014), (true, 0), (false, 0)], new[] { 10, 2_000, 1 }.Select(count => limiter.Take(volume, count)).Select(d => (d.IsAllowed, d.Remaining)));
        Assert.True(limiter.Take(Alice).IsAllowed);
    }

    [Fact]
    [Refuses("W-19")]
    public void Memory_is_bounded_and_what_is_over_is_dropped_with_its_minute()
    {
        var limiter = new RateLimiter(new(), _time);
        for (var i = 0; i < RateLimiter.BudgetsMax + 1000; i++)
        {
            Assert.True(limiter.Take(RateKey.Sender(new AgentId(i))).IsAllowed);
        }

        Assert.Equal(RateLimiter.BudgetsMax, limiter.Count);
        _time.Now += TimeSpan.FromMinutes(1);
        limiter.Take(Alice);
        Assert.Equal(1, limiter.Count);
    }

    [Fact]
    public async Task Many_threads_take_no_more_than_there_is()
    {
        var limiter = new RateLimiter(new() { SenderPerMinute = 10_000 }, _time);

        var allowed = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Enumerable.Range(0, 2_000).Count(_ => limiter.Take(Alice).IsAllowed))));

        Assert.Equal(10_000, allowed.Sum());
    }

    [Theory]
    [InlineData("198.51.100.7", "::ffff:198.51.100.7", true)]
    [InlineData("198.51.100.7", "198.51.100.8", false)]
    [InlineData("2606:4700:1:2::1", "2606:4700:1:2:ffff::9", true)]
    [InlineData("2606:4700:1:2::1", "2606:4700:1:3::1", false)]
    public void An_address_of_IPv6_counts_with_its_network(string one, string other, bool same) =>
        Assert.Equal(same, RateKey.Address(IPAddress.Parse(one)) == RateKey.Address(IPAddress.Parse(other)));

    [Fact]
    public void Destinations_have_budgets_of_their_own()
    {
        var limiter = new RateLimiter(new() { DestinationPerMinute = 1 }, _time);

        Assert.True(limiter.Take(RateKey.Destination("https://a.example.com:443")).IsAllowed);
        Assert.False(limiter.Take(RateKey.Destination("https://a.example.com:443")).IsAllowed);
        Assert.True(limiter.Take(RateKey.Destination("https://b.example.com:443")).IsAllowed);
    }
}
