namespace Swarm.Core.Messaging;

/// <summary>Lets one caller wait for many messages: it is woken once, after the last of their commits, and not once a message.</summary>
internal sealed class CommitGroup
{
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // The caller's own one keeps it open until all have been added.
    private int _open = 1;

    /// <summary>One more to wait for, before it is handed to the writer.</summary>
    public void Add() => Interlocked.Increment(ref _open);

    /// <summary>One of them has its result.</summary>
    public void Signal()
    {
        if (Interlocked.Decrement(ref _open) == 0)
        {
            _done.SetResult();
        }
    }

    /// <summary>Nothing more is added; completes when all that were have their results.</summary>
    public Task WaitAsync()
    {
        Signal();
        return _done.Task;
    }
}
