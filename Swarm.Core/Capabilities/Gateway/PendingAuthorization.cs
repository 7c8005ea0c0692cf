using System.Buffers;
using Swarm.Core.Capabilities.Authorization;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>An authorization that waits for the storage's answer and for its event's commit.</summary>
/// <param name="query">What to ask; null when the chain is refused already and only its event is to be kept.</param>
/// <param name="conclude">
/// Given the storage's answer, writes the event's line and returns what is to be remembered; called by the writer, again when a batch is tried again.
/// </param>
internal sealed class PendingAuthorization(LedgerQuery? query, Func<LedgerAnswer, IBufferWriter<byte>, RememberedAnswer?> conclude)
{
    private readonly TaskCompletionSource<LedgerAnswer> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>By which the nonces that it consumed are known as its own.</summary>
    public Guid UseId { get; } = Guid.NewGuid();

    public LedgerQuery? Query => query;

    public LedgerAnswer Answer { get; set; } = LedgerAnswer.Clear;

    public Task<LedgerAnswer> Completion => _completion.Task;

    public RememberedAnswer? Conclude(IBufferWriter<byte> events) => conclude(Answer, events);

    public void Complete() => _completion.TrySetResult(Answer);

    /// <summary>The storage did not answer. What was refused without it stays refused for its own reason.</summary>
    public void Fail(Denial fault) => _completion.TrySetResult(new(false, false, fault));
}

/// <summary>An answer that is given again to the same request (A1 §20, Nonces).</summary>
/// <param name="Request">SHA-256 of the request.</param>
/// <param name="Answer">The body.</param>
/// <param name="KeepUntil">Unix seconds.</param>
internal readonly record struct RememberedAnswer(byte[] Request, byte[] Answer, long KeepUntil);
