namespace Swarm.Core.Messaging;

/// <summary>
/// Messages that are handed to the writer one after the other and waited for together. Each is accepted or refused by its own right, as by
/// <see cref="Intake.AcceptAsync"/>; but the wait for their commits is one, where that would be one a message.
/// </summary>
public sealed class IntakeBatch
{
    private readonly Intake _intake;
    private readonly CommitGroup _group = new();
    private readonly List<Entry> _entries;

    internal IntakeBatch(Intake intake, int messages)
    {
        _intake = intake;
        _entries = new(messages);
    }

    /// <summary>Hands the message in, after those that were added before. What its checks need is read first: else the next would overtake it.</summary>
    public async ValueTask AddAsync(Envelope envelope, CancellationToken cancellation)
    {
        await _intake.PrepareAsync(envelope.SwarmId, cancellation);
        var found = default(Intake.Findings);
        var pending = _intake.TryQueue(envelope, _group, ref found, out var recipients);
        _entries.Add(new(pending, found, recipients, pending is null ? _intake.ContinueAsync(envelope, found, cancellation).AsTask() : null));
    }

    /// <summary>Nothing more is added. Completes after the commits; what another check is needed for has begun it then.</summary>
    public async Task CommitAsync(CancellationToken cancellation)
    {
        await _group.WaitAsync();
        for (var i = 0; i < _entries.Count; i++)
        {
            if (_entries[i] is { Pending: { } pending } entry)
            {
                var result = pending.Completion.GetAwaiter().GetResult();
                if (result.Status != CommitStatus.Stale)
                {
                    _entries[i] = entry with { Result = result };
                    continue;
                }

                // Before it goes on: waiting for the same roster, messages of one sender would overtake each other. If it fails, so does the message, by itself.
                await _intake.RefreshAsync(pending, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                _entries[i] = entry with { Pending = null, Other = _intake.ContinueAsync(pending.Envelope, entry.Found, cancellation).AsTask() };
            }
        }
    }

    /// <summary>What came of the message that was added at that place, after <see cref="CommitAsync"/> and once.</summary>
    public async ValueTask<Receipt> ReceiptAsync(int place)
    {
        var entry = _entries[place];
        return entry.Pending is null ? await entry.Other! : _intake.ReceiptOf(entry.Pending, entry.Result, entry.Found, entry.Recipients);
    }

    private readonly record struct Entry(PendingMessage? Pending, Intake.Findings Found, int Recipients, Task<Receipt>? Other)
    {
        public CommitResult Result { get; init; }
    }
}
