using Swarm.Core.Storage;
using Swarm.Tests.Infrastructure;
using SettableTime = Swarm.Tests.Doors.SettableTime;

namespace Swarm.Tests.Storage;

/// <summary>Retention by partition (design §4): what is old and finished goes, a week at a time; what is live stays.</summary>
[Collection(PostgresCollection.Name)]
public sealed class RetentionTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres, time: _time);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["eve"]);
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, to = "bob", content = "hello" })).Ok();
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task A_finished_week_goes_when_it_is_old_enough_and_its_ids_later()
    {
        await _node.ExecuteAsync("update deliveries set state = 3");
        await RunAfterAsync(TimeSpan.FromDays(29));
        Assert.Equal((1, 1, 1), await CountAsync());
        await RunAfterAsync(TimeSpan.FromDays(2));
        Assert.Equal((0, 0, 1), await CountAsync());
        await RunAfterAsync(TimeSpan.FromDays(8));
        Assert.Equal((0, 0, 0), await CountAsync());
    }

    [Theory]
    [InlineData("update deliveries set state = 0")]
    [InlineData("update deliveries set state = 1")]
    [InlineData("insert into dead_letters select message_no, recipient_no, sender_no, swarm_no, now() + interval '50 days', 'gone' from deliveries")]
    [InlineData("insert into expansions (message_no, sender_no, priority, scheduled, due_at, recipients) select message_no, sender_no, 1, true, now(), '{1}' from messages")]
    public async Task A_week_with_something_live_stays(string live)
    {
        await _node.ExecuteAsync("update deliveries set state = 3");
        await _node.ExecuteAsync(live);
        await RunAfterAsync(TimeSpan.FromDays(60));
        var (messages, deliveries, _) = await CountAsync();
        Assert.Equal((1, 1), (messages, deliveries));
    }

    [Fact]
    public async Task What_comes_again_when_its_message_is_gone_is_still_a_duplicate_and_takes_no_number()
    {
        var wire = _scene.Signed("eve", "bob", "again", at: _time.Now);
        Assert.Equal(System.Net.HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", wire)).Status);
        await _node.ExecuteAsync("delete from deliveries; delete from messages");

        Assert.Equal(System.Net.HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", wire)).Status);
        Assert.Equal(2, await _node.ScalarAsync<long>("select max(last_seq) from mailboxes"));
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from deliveries"));
    }

    [Fact]
    public async Task A_message_is_kept_as_long_as_its_sender_may_repeat_it_whatever_the_settings_say()
    {
        _node.Get<RetentionOptions>().MessageDays = 0;
        _node.Get<RetentionOptions>().IdDays = 0;
        await _node.ExecuteAsync("update deliveries set state = 3");
        await RunAfterAsync(Core.Messaging.Intake.PastWindow);
        Assert.Equal((1, 1, 1), await CountAsync());
        await RunAfterAsync(TimeSpan.FromDays(2));
        Assert.Equal((0, 0, 0), await CountAsync());
    }

    [Fact]
    public async Task The_coming_weeks_have_partitions_and_what_has_none_is_still_kept()
    {
        await RunAfterAsync(TimeSpan.FromDays(70));
        var partitions = await _node.ScalarAsync<long>("select count(*) from pg_inherits where inhparent = 'deliveries'::regclass");
        await RunAfterAsync(TimeSpan.Zero);
        Assert.Equal(partitions, await _node.ScalarAsync<long>("select count(*) from pg_inherits where inhparent = 'deliveries'::regclass"));

        // A week that nobody prepared: the row goes to the rest.
        await _node.ExecuteAsync(
            "insert into deliveries (message_no, recipient_no, seq, sender_no, priority) values ((message_day(now() + interval '3 years') << 40) + 1, 1, 1, 1, 1)");
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from deliveries_rest"));
    }

    private async Task RunAfterAsync(TimeSpan step)
    {
        _time.Now += step;
        await _node.Get<Retention>().RunOnceAsync(default);
    }

    private async Task<(long Messages, long Deliveries, long Ids)> CountAsync() => (
        await _node.ScalarAsync<long>("select count(*) from messages"),
        await _node.ScalarAsync<long>("select count(*) from deliveries"),
        await _node.ScalarAsync<long>("select count(*) from message_ids"));
}
