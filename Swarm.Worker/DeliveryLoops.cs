using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Delivery;
using Swarm.Core.References;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Worker;

/// <summary>Expires deliveries; several Workers share the work, because rows that another holds are skipped.</summary>
internal sealed class ExpiryLoop(Expiry expiry, TimeProvider time, ILogger<ExpiryLoop> logger) : Loop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromSeconds(1);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation) =>
        await expiry.RunOnceAsync(cancellation) == Expiry.ChunkMax;
}

/// <summary>Makes the deliveries of large and scheduled messages: at once on a signal, and when the next one is due.</summary>
internal sealed class ExpansionLoop(Expansion expansion, LocalSignals signals, TimeProvider time, ILogger<ExpansionLoop> logger) : Loop(time, logger)
{
    private readonly InboxSubscription _signal = signals.Subscribe(LocalSignals.Expansions);
    private TimeSpan _untilDue;

    protected override TimeSpan Interval => TimeSpan.FromSeconds(1);

    public override void Dispose()
    {
        _signal.Dispose();
        base.Dispose();
    }

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        if (await expansion.RunOnceAsync(cancellation))
        {
            return true;
        }

        _untilDue = await expansion.NextDueAsync(cancellation) is { } due ? due - Time.GetUtcNow() : Interval;
        return false;
    }

    protected override Task WaitAsync(TimeSpan limit, CancellationToken cancellation) =>
        _signal.WaitAsync(TimeSpan.FromMilliseconds(Math.Clamp(_untilDue.TotalMilliseconds, 1, limit.TotalMilliseconds)), Time, cancellation).AsTask();
}

/// <summary>Makes the coming partitions and removes what is older than it is kept.</summary>
internal sealed class RetentionLoop(Retention retention, TimeProvider time, ILogger<RetentionLoop> logger) : Loop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromHours(1);

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        await retention.RunOnceAsync(cancellation);
        return false;
    }
}

/// <summary>Indexes what messages refer to, behind their accept.</summary>
internal sealed class ReferenceLoop(ReferenceIndex index, TimeProvider time, ILogger<ReferenceLoop> logger) : Loop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromSeconds(1);

    protected override Task<bool> RunOnceAsync(CancellationToken cancellation) => index.RunOnceAsync(cancellation);
}

/// <summary>Forgets nonces, members and certificates that have run out.</summary>
internal sealed class CapabilityLoop(CapabilitySweep sweep, TimeProvider time, ILogger<CapabilityLoop> logger) : Loop(time, logger)
{
    protected override TimeSpan Interval => TimeSpan.FromMinutes(1);

    protected override Task<bool> RunOnceAsync(CancellationToken cancellation) => sweep.RunOnceAsync(cancellation);
}
