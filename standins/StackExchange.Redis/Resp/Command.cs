namespace StackExchange.Redis.Resp;

/// <summary>One command on its way, and where its reply goes.</summary>
internal sealed class Command
{
    private readonly ReadOnlyMemory<byte>[] _words;
    private readonly TaskCompletionSource<RespNode>? _reply;

    public Command(int database, bool wantsReply, params ReadOnlyMemory<byte>[] words)
    {
        Database = database;
        _words = words;
        _reply = wantsReply ? new TaskCompletionSource<RespNode>(TaskCreationOptions.RunContinuationsAsynchronously) : null;
    }

    /// <summary>The database that it addresses; -1 for none.</summary>
    public int Database { get; }

    public ReadOnlySpan<ReadOnlyMemory<byte>> Words => _words;

    /// <summary>When it was written, in milliseconds of <see cref="Environment.TickCount64"/>; 0 while it waits.</summary>
    public long SentAt { get; set; }

    /// <summary>True when nobody waits any more; an unsent one is then skipped.</summary>
    public bool IsAbandoned => _reply?.Task.IsCompleted == true;

    public Task<RespNode> Reply => _reply?.Task ?? Task.FromResult(default(RespNode));

    public void Complete(in RespNode node)
    {
        if (node.Kind == RespKind.Error)
        {
            _ = _reply?.TrySetException(new RedisServerException(node.Text));
        }
        else
        {
            _ = _reply?.TrySetResult(node);
        }
    }

    public void Fail(Exception error)
    {
        if (_reply?.TrySetException(error) == true)
        {
            // The caller may have stopped waiting; the error is then nobody's.
            _ = _reply.Task.Exception;
        }
    }

    public void Abandon() => _ = _reply?.TrySetCanceled();
}
