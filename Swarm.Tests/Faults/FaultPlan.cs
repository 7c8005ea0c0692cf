using System.Globalization;

namespace Swarm.Tests.Faults;

/// <summary>What can be broken.</summary>
internal enum FaultKind
{
    KillApi,
    KillWorker,
    KillPostgres,

    /// <summary>SIGKILL for one backend, after which the postmaster ends all others and recovers.</summary>
    KillBackend,
    KillRedis,

    /// <summary><c>pg_terminate_backend</c> for every session of the node.</summary>
    EndSessions,

    /// <summary>All connections between a replica and Postgres are reset; new ones are refused for a while.</summary>
    CutPostgres,

    /// <summary>What a replica asks reaches Postgres, the answers do not come back, and then the connections break.</summary>
    LosePostgresAnswers,

    /// <summary>Nothing passes between a replica and Postgres for a while; then everything does.</summary>
    StallPostgresLink,
    CutRedis,
    StallRedisLink,

    /// <summary>SIGSTOP, and SIGCONT later.</summary>
    FreezeApi,
    FreezeWorker,
    FreezePostgres,
    FreezeRedis,
    FillDisk,

    /// <summary>A peer misbehaves as <see cref="FaultStep.Lie"/> says.</summary>
    PeerLies,
}

/// <param name="Kind">What breaks.</param>
/// <param name="Target">Which replica or peer, or which way of misbehaving: the executor takes it modulo how many there are.</param>
/// <param name="After">How long after the end of the step before.</param>
/// <param name="For">How long it stays broken. What was killed is started again then.</param>
internal sealed record FaultStep(FaultKind Kind, int Target, TimeSpan After, TimeSpan For)
{
    private static readonly int Lies = Enum.GetValues<Lie>().Length;

    /// <summary>With <see cref="FaultKind.PeerLies"/>: how.</summary>
    public Lie Lie => (Lie)(Target % Lies);

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{Kind} {(Kind == FaultKind.PeerLies ? $"{Lie} " : "")}{Target} after {After.TotalMilliseconds:F0} ms for {For.TotalMilliseconds:F0} ms");
}

/// <summary>Which faults come in which order and when. The same seed makes the same plan.</summary>
internal sealed record FaultPlan(int Seed, IReadOnlyList<FaultStep> Steps)
{
    private const int AfterMsMin = 100;
    private const int AfterMsMax = 900;
    private const int ForMsMin = 200;
    private const int ForMsMax = 2_000;

    private const int LiesEachRound = 3;

    /// <summary>How many different targets a step may name.</summary>
    private const int Targets = 120;

    /// <summary>Every kind once, and several lies, in a random order.</summary>
    public static FaultPlan Short(int seed, IReadOnlyList<FaultKind> kinds) => new(seed, [.. Round(new(seed), kinds)]);

    /// <summary>Rounds of every kind without end, each in another order.</summary>
    public static IEnumerable<FaultStep> Endless(int seed, IReadOnlyList<FaultKind> kinds)
    {
        var random = new Random(seed);
        while (true)
        {
            foreach (var step in Round(random, kinds))
            {
                yield return step;
            }
        }
    }

    private static IEnumerable<FaultStep> Round(Random random, IReadOnlyList<FaultKind> kinds)
    {
        var order = kinds.Concat(kinds.Contains(FaultKind.PeerLies) ? Enumerable.Repeat(FaultKind.PeerLies, LiesEachRound - 1) : []).ToArray();
        random.Shuffle(order);
        foreach (var kind in order)
        {
            yield return new(
                kind, random.Next(Targets), TimeSpan.FromMilliseconds(random.Next(AfterMsMin, AfterMsMax)),
                TimeSpan.FromMilliseconds(random.Next(ForMsMin, ForMsMax)));
        }
    }
}
