using Swarm.Core.Identity;

namespace Swarm.Core.Messaging;

/// <summary>Messages that are sent one after the other, each by its own right, and waited for together (<see cref="IntakeBatch"/>).</summary>
public sealed class SendingBatch
{
    private readonly Sending _sending;
    private readonly IntakeBatch _intake;
    private readonly List<Entry> _entries;
    private int _accepted;

    internal SendingBatch(Sending sending, IntakeBatch intake, int messages)
    {
        _sending = sending;
        _intake = intake;
        _entries = new(messages);
    }

    /// <summary>How many were added or refused.</summary>
    public int Count => _entries.Count;

    /// <summary>Signs the message and hands it in. Wait for it before the next is added.</summary>
    /// <exception cref="SwarmException">It cannot be sent, and was not added.</exception>
    public async ValueTask AddAsync(AgentProfile from, Draft draft, CancellationToken cancellation)
    {
        var outgoing = await _sending.SealAsync(from, draft, cancellation);
        if (outgoing.Envelope is { } envelope)
        {
            await _intake.AddAsync(envelope, cancellation);
            _entries.Add(new(outgoing with { Envelope = null }, _accepted++, null));
        }
        else
        {
            _entries.Add(new(outgoing, 0, null));
        }
    }

    /// <summary>Takes the place of a message that cannot be sent.</summary>
    /// <param name="error">Why.</param>
    /// <param name="detail">What its sender is told instead of the error's meaning; null for nothing else.</param>
    public void Refuse(SwarmError error, string? detail) => _entries.Add(new(new(null, default) { Refusal = error }, 0, detail));

    /// <summary>Nothing more is added. Completes after the commits; what another check is needed for has begun it then.</summary>
    public Task CommitAsync(CancellationToken cancellation) => _intake.CommitAsync(cancellation);

    /// <summary>What came of the message at that place, after <see cref="CommitAsync"/> and once.</summary>
    public async ValueTask<(MessageId Id, Receipt Receipt, string? Detail)> ResultAsync(int place, CancellationToken cancellation)
    {
        var (outgoing, accepted, detail) = _entries[place];
        return outgoing.Refusal is { } refusal
            ? (outgoing.Id, Receipt.Refuse(refusal), detail)
            : (outgoing.Id, await _sending.ReceiptAsync(outgoing, await _intake.ReceiptAsync(accepted), cancellation), null);
    }

    private readonly record struct Entry(Sending.Outgoing Outgoing, int Accepted, string? Detail);
}
