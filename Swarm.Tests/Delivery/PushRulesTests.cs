using Swarm.Core.Delivery;
using Swarm.Core.Messaging;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Delivery;

/// <summary>What becomes of a push, by its answer alone.</summary>
[Shown(By.Unit)]
public sealed class PushRulesTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);
    private static readonly PushOptions Options = new();
    private static readonly PushRules Rules = new(Options);

    [Theory]
    [InlineData("0", 0.0)]
    [InlineData(" 120 ", 120.0)]
    [InlineData("31536000", 31536000.0)] // a year of seconds is still a delay
    [InlineData("31536001", 0.0)] // one more is an epoch second, long ago
    [InlineData("1795262430", 30.0)] // the reference's form: 2026-11-21T12:00:30Z
    [InlineData("1795262370", 0.0)]
    [InlineData("Sat, 21 Nov 2026 12:01:00 GMT", 60.0)]
    [InlineData("Saturday, 21-Nov-26 12:01:00 GMT", 60.0)]
    [InlineData("Sat Nov 21 12:01:00 2026", 60.0)]
    [InlineData("Sat, 21 Nov 2026 11:00:00 GMT", 0.0)]
    [InlineData("99999999999999999999999999", 31536000.0)]
    [InlineData("999999999999", 31536000.0)]
    [InlineData("", null)]
    [InlineData(null, null)]
    [InlineData("-5", null)]
    [InlineData("1.5", null)]
    [InlineData("soon", null)]
    public void Retry_after_is_read_in_each_of_its_forms(string? text, double? seconds) =>
        Assert.Equal(seconds, RetryAfter.Parse(text, Now)?.TotalSeconds);

    [Theory]
    [Conforms("ASP-45", "ASP-47")]
    [InlineData(200, PushOutcome.Delivered)]
    [InlineData(202, PushOutcome.Delivered)]
    [InlineData(204, PushOutcome.Delivered)]
    [InlineData(301, PushOutcome.Retry)]
    [InlineData(400, PushOutcome.Dead)]
    [InlineData(401, PushOutcome.Retry)]
    [InlineData(403, PushOutcome.Retry)]
    [InlineData(404, PushOutcome.Retry)]
    [InlineData(408, PushOutcome.Retry)]
    [InlineData(409, PushOutcome.Dead)]
    [InlineData(413, PushOutcome.Dead)]
    [InlineData(422, PushOutcome.Dead)]
    [InlineData(425, PushOutcome.Retry)]
    [InlineData(429, PushOutcome.Retry)]
    [InlineData(500, PushOutcome.Retry)]
    [InlineData(503, PushOutcome.Retry)]
    [InlineData(0, PushOutcome.Retry)]
    public void Each_status_has_its_outcome(int status, PushOutcome outcome) =>
        Assert.Equal(outcome, Rules.Judge(Item(), new(status, $"HTTP {status}"), Now, 0.5).Outcome);

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(404)]
    public void A_refusal_counts_after_ten_minutes(int status)
    {
        var just = Item(refusedSince: Now - TimeSpan.FromMinutes(10) + TimeSpan.FromMilliseconds(1));
        var full = Item(refusedSince: Now - TimeSpan.FromMinutes(10));
        Assert.Equal(PushOutcome.Retry, Rules.Judge(just, new(status, "no"), Now, 0.5).Outcome);
        Assert.Equal(PushOutcome.Dead, Rules.Judge(full, new(status, "no"), Now, 0.5).Outcome);
    }

    [Fact]
    [Conforms("ASP-47")]
    public void The_back_off_doubles_up_to_its_cap_and_is_fully_random()
    {
        PushAnswer failed = new(500, "HTTP 500");
        Assert.Equal(TimeSpan.Zero, Rules.Judge(Item(attempts: 5), failed, Now, 0).Delay);
        Assert.Equal(TimeSpan.FromSeconds(0.5), Rules.Judge(Item(), failed, Now, 0.5).Delay);
        Assert.Equal(TimeSpan.FromSeconds(8), Rules.Judge(Item(attempts: 4), failed, Now, 0.5).Delay);
        Assert.Equal(TimeSpan.FromMinutes(7.5), Rules.Judge(Item(attempts: 1_000), failed, Now, 0.5).Delay);
    }

    [Fact]
    public void What_a_peer_asks_for_is_waited_and_silences_its_destination_up_to_a_day()
    {
        var verdict = Rules.Judge(Item(), new(429, "HTTP 429") { RetryAfter = "30" }, Now, 0.5);
        Assert.Equal((TimeSpan.FromSeconds(30.5), TimeSpan.FromSeconds(30)), (verdict.Delay, verdict.Pause));
        Assert.Equal("HTTP 429; asked to wait 30 s", verdict.Reason);
        var greedy = Rules.Judge(Item(), new(503, "HTTP 503") { RetryAfter = "31536000" }, Now, 0);
        Assert.Equal(TimeSpan.FromHours(24), greedy.Delay);
        Assert.Equal(TimeSpan.Zero, Rules.Judge(Item(), new(500, "HTTP 500") { RetryAfter = "30" }, Now, 0).Delay);
    }

    [Fact]
    public void The_ceilings_are_count_and_age()
    {
        PushAnswer failed = new(500, "HTTP 500");
        Assert.Equal(PushOutcome.Retry, Rules.Judge(Item(attempts: Options.AttemptsMax - 2), failed, Now, 0).Outcome);
        Assert.Equal(PushOutcome.Dead, Rules.Judge(Item(attempts: Options.AttemptsMax - 1), failed, Now, 0).Outcome);
        Assert.Equal(PushOutcome.Retry, Rules.Judge(Item(sentAt: Now - Options.AgeMax), failed, Now, 0).Outcome);
        Assert.Equal(PushOutcome.Dead, Rules.Judge(Item(sentAt: Now - Options.AgeMax), failed, Now, 0.001).Outcome);
        Assert.True(Options.AgeMax < Intake.PastWindow);
    }

    [Fact]
    public void What_must_not_be_called_is_dead_at_once_and_says_why()
    {
        var verdict = Rules.Judge(Item(), new(0, "The address may not be called.\0\n" + new string('é', 600)) { IsForbidden = true }, Now, 0.5);
        Assert.Equal(PushOutcome.Dead, verdict.Outcome);
        Assert.StartsWith("The address may not be called.  ", verdict.Reason, StringComparison.Ordinal);
        Assert.InRange(System.Text.Encoding.UTF8.GetByteCount(verdict.Reason!), PushOptions.ReasonBytesMax - 1, PushOptions.ReasonBytesMax);
    }

    private static PushItem Item(int attempts = 0, DateTimeOffset? sentAt = null, DateTimeOffset? refusedSince = null) => new(
        1, 2, 3, 1, attempts, Protocol.AgentSwarm, ReadOnlyMemory<byte>.Empty, null, sentAt ?? Now, null, "https://peer.example.com/swarm", "alice",
        refusedSince);
}
