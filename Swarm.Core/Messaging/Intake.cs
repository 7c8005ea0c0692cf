namespace Swarm.Core.Messaging;

/// <summary>The way of a message (design §3): limits, sender, signature, authority, recipients, commit, signal.</summary>
public sealed class Intake
{
    /// <summary>Completes after the commit; never throws for bad input.</summary>
    public ValueTask<Receipt> AcceptAsync(Envelope envelope, CancellationToken cancellation)
    {
        throw new InvalidOperationException("Under construction in this session.");
    }
}
