using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Delivery;
using Swarm.Core.Messaging;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;
using Seed = Swarm.Tests.Doors.Seed;

namespace Swarm.Tests.Faults;

/// <summary>
/// The checker would notice: three classic bugs are put in the place of the real code, in this process or in one test's database, and each is
/// found by the same run that finds nothing without it.
/// </summary>
[Collection(PostgresCollection.Name)]
public sealed class PlantedBugTests(PostgresFixture postgres, ITestOutputHelper output)
{
    private const int MessagesBefore = 120;
    private const int MessagesAfter = 40;

    private static readonly TimeSpan StuckAfter = TimeSpan.FromSeconds(10);

    /// <summary>Consumers die often and hold what they had for a second.</summary>
    private static readonly Cast Cast = new() { LeaseSeconds = 1, DiesEvery = 4, Pace = TimeSpan.FromMilliseconds(40) };

    [Fact]
    public async Task A_writer_that_answers_before_its_commit_is_caught()
    {
        Assert.Empty(await RunAsync(node => Task.CompletedTask));

        var violations = await RunAsync(
            node =>
            {
                // A crash: what it had answered and not yet written is gone.
                node.Get<HastyCommit>().Die();
                return Task.CompletedTask;
            },
            services =>
            {
                foreach (var hosted in services.Where(s => s.ServiceType == typeof(IHostedService) && s.ImplementationFactory?.Method.ReturnType == typeof(GroupCommit)).ToArray())
                {
                    services.Remove(hosted);
                }

                services.AddSingleton<HastyCommit>().AddHostedService(s => s.GetRequiredService<HastyCommit>());
            });
        Assert.Contains(violations, v => v.Promise == HistoryChecker.Lost);
    }

    [Fact]
    public async Task A_lease_that_acknowledges_before_it_sends_is_caught()
    {
        Assert.Empty(await RunAsync(_ => Task.CompletedTask));

        var violations = await RunAsync(
            _ => Task.CompletedTask,
            change: node => node.ReplaceAsync("lease_deliveries", "set state = 1, lease_id = p_lease", "set state = 2, lease_id = p_lease"));
        Assert.Contains(violations, v => v.Promise == HistoryChecker.Unsent);
    }

    [Fact]
    public async Task A_sweep_that_forgets_is_caught()
    {
        Assert.Empty(await RunAsync(_ => Task.CompletedTask));

        var violations = await RunAsync(
            _ => Task.CompletedTask,
            change: node => node.ReplaceAsync("end_leases", "leased_until <= p_now) then", "leased_until <= p_now - interval '1 day') then"));
        Assert.Contains(violations, v => v.Promise == HistoryChecker.Stuck);
    }

    /// <summary>The same load, consumers that die and two replicas; <paramref name="harm"/> happens in its middle.</summary>
    private async Task<IReadOnlyList<Violation>> RunAsync(
        Func<NodeHost, Task> harm, Action<IServiceCollection>? replace = null, Func<NodeHost, Task>? change = null)
    {
        await using var a = await NodeHost.StartAsync(postgres, replace: replace);
        await using var b = await a.StartReplicaAsync();
        await (change?.Invoke(a) ?? Task.CompletedTask);
        using var scene = await Scene.CreateAsync(a.Hub, Cast.Hosted, Cast.External);
        await using var worker = WorkerInProcess.Start(a);
        await using var trial = new Trial([Replica.In(a), Replica.In(b)], a.Database, scene, Cast, Seed.Take(output), StuckAfter);
        await trial.StartAsync();
        await trial.AnsweredAsync(MessagesBefore);
        await harm(a);
        await trial.AnsweredAsync(MessagesAfter);
        var violations = await trial.EndAsync();
        output.WriteLine($"{trial.History}\n{HistoryChecker.Describe(violations)}");
        return violations;
    }

    /// <summary>The planted bug: it answers, then writes. What it has in hand when it dies was answered and is lost.</summary>
    private sealed class HastyCommit(GroupCommit real, NpgsqlDataSource database, TimeProvider time) : BackgroundService
    {
        private volatile bool _dead;

        /// <summary>From now on it answers and never comes to write, until it is restarted by the next message.</summary>
        public void Die() => _dead = true;

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            var waiting = Waiting(real).Reader;
            var chain = AuditChain.Start();
            await using var command = await AcceptCommand.OpenAsync(database, stoppingToken);
            while (await waiting.WaitToReadAsync(stoppingToken))
            {
                while (waiting.TryRead(out var message))
                {
                    message.Complete(new(CommitStatus.Accepted, 1, message.Recipients.Length));
                    if (_dead)
                    {
                        _dead = false;
                        continue;
                    }

                    chain = message.Later
                        ? await command.ExecuteLaterAsync(message, new CommitResult[1], chain, time.GetUtcNow(), CancellationToken.None)
                        : await command.ExecuteAsync([message], new CommitResult[1], mayRepeat: true, chain, time.GetUtcNow(), CancellationToken.None);
                }
            }
        }

        [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_waiting")]
        private static extern ref Channel<PendingMessage> Waiting(GroupCommit writer);
    }
}
