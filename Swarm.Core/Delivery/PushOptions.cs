using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery;

/// <summary>When and how often a push is tried. Section <c>Push</c>; the defaults suit the public internet.</summary>
public sealed class PushOptions
{
    /// <summary>Lanes that are sent at once to destinations that answer.</summary>
    public const int LanesMax = 512;

    /// <summary>Lanes that are sent at once to all destinations together that are slow, failing or not known yet: they take no place from the others.</summary>
    public const int UnprovenLanesMax = 256;

    /// <summary>Lanes that are sent at once to one destination; fewer until it has answered, one while it fails.</summary>
    public const int LanesPerDestinationMax = 32;

    /// <summary>Recipients of one lease.</summary>
    public const int LeaseRecipientsMax = 64;

    /// <summary>Deliveries of one recipient in one lease.</summary>
    public const int LeaseEachMax = 64;

    /// <summary>Bytes of messages of one lease.</summary>
    public const int LeaseBytesMax = 8 * 1024 * 1024;

    /// <summary>How many waiting deliveries of a recipient a lease looks through.</summary>
    public const int ScanFirst = 512;

    /// <summary>The same for a recipient that a sweep found: its first lanes may all be held, with something free behind them.</summary>
    public const int ScanMax = 10_000;

    /// <summary>The longest reason that is kept of a failure, in bytes of UTF-8.</summary>
    public const int ReasonBytesMax = 512;

    /// <summary>Failures of one delivery of which time and reason are kept: the first, and the newest.</summary>
    public const int AttemptsKept = 50;

    /// <summary>The first back-off is a random time up to this; each further one up to twice as long.</summary>
    public TimeSpan BackoffFirst { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>No back-off is longer.</summary>
    public TimeSpan BackoffMax { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>Longer waits that a peer asks for (<c>Retry-After</c>) are cut to this.</summary>
    public TimeSpan RetryAfterMax { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Tries after which a delivery is dead. With the default back-off <see cref="AgeMax"/> comes first.</summary>
    public int AttemptsMax { get; set; } = 2_000;

    /// <summary>A message that was signed longer ago is dead: its receivers would refuse it (design §3, Time). An hour is left for its way.</summary>
    public TimeSpan AgeMax { get; set; } = Intake.PastWindow - TimeSpan.FromHours(1);

    /// <summary>How long a 401, 403, 404 or a redirect is tried again before it counts: the peer's roster may lag (design §3 promise 4).</summary>
    public TimeSpan RefusalTime { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>The longest that one call may take.</summary>
    public TimeSpan CallTimeMax { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a lane is leased; no call begins that might outlast it. Longer than <see cref="CallTimeMax"/>.</summary>
    public TimeSpan LeaseTime { get; set; } = TimeSpan.FromSeconds(90);

    /// <summary>How often work is looked for that no signal told of: after a crash, a lost signal, another Worker's end.</summary>
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromSeconds(5);
}
