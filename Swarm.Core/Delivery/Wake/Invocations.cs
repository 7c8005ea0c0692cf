using System.ComponentModel;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Delivery.Wake;

/// <summary>A wake as it was asked for: texts of others, to be trusted in nothing.</summary>
public sealed record WakeRequest(string MessageId, string SwarmId, string SenderId, string NotificationLevel);

/// <summary>Starts the agent's program.</summary>
public interface IInvoker
{
    /// <summary>The word that configuration names it by.</summary>
    string Name { get; }

    /// <param name="sender">A text id, or <see cref="TmuxInvoker.UnknownSender"/>: safe to type.</param>
    /// <param name="session">The session of the talk with that peer; null for a new one.</param>
    /// <returns>The session in which the agent now talks, if the invoker knows one.</returns>
    Task<string?> InvokeAsync(string sender, string? session, CancellationToken cancellation);
}

/// <summary>Does nothing: the agent looks by itself.</summary>
public sealed class NoopInvoker : IInvoker
{
    public string Name => "noop";

    public Task<string?> InvokeAsync(string sender, string? session, CancellationToken cancellation) => Task.FromResult<string?>(null);
}

/// <summary>Types a one-line notice into a tmux session, and Enter in a second call (ASP §11.3).</summary>
public sealed class TmuxInvoker(string target, TimeProvider time) : IInvoker
{
    /// <summary>Stands for a sender whose id is outside the grammar.</summary>
    public const string UnknownSender = "unknown";

    /// <summary>The longest that one call of tmux may take.</summary>
    public static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    public string Name => "tmux";

    public async Task<string?> InvokeAsync(string sender, string? session, CancellationToken cancellation)
    {
        await TypeAsync(["-l", "--", $"[swarm] New message from {sender}"], cancellation);
        await Task.Delay(Pause, time, cancellation);
        await TypeAsync(["C-m"], cancellation);
        return null;
    }

    private async Task TypeAsync(string[] keys, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(TimeMax, time);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        using var process = Process.Start(new ProcessStartInfo("tmux", ["send-keys", "-t", target, .. keys])
        {
            RedirectStandardInput = true, RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        try
        {
            await process.StandardError.ReadToEndAsync(end.Token);
            await process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        if (process.ExitCode != 0)
        {
            throw new IOException($"tmux ended with exit code {process.ExitCode}");
        }
    }
}

/// <summary>
/// One invocation at a time. All wakes that arrive during one lead to exactly one more after it, for the newest of them (ASP §11.3,
/// hardened): none is lost, and none piles up.
/// </summary>
public sealed partial class Invocations(IInvoker invoker, Conversations conversations, TimeSpan sessionTimeout, ILogger<Invocations> logger) : IAsyncDisposable
{
    private static readonly Meter Meter = new("Swarm");
    private static readonly Counter<long> Results = Meter.CreateCounter<long>("swarm.wake.invocations");

    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private (AgentId Agent, WakeRequest Request)? _next;
    private Task _running = Task.CompletedTask;

    /// <summary>Returns at once; the invocation runs behind.</summary>
    public void Start(AgentId agent, WakeRequest request)
    {
        lock (_lock)
        {
            _next = (agent, request);
            if (_running.IsCompleted && !_stopping.IsCancellationRequested)
            {
                _running = Task.Run(RunAsync);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        while (true)
        {
            (AgentId Agent, WakeRequest Request) now;
            lock (_lock)
            {
                if (_next is null || _stopping.IsCancellationRequested)
                {
                    // Under the lock, so that a wake that comes now starts a new run.
                    _running = Task.CompletedTask;
                    return;
                }

                now = _next.Value;
                _next = null;
            }

            await InvokeAsync(now.Agent, now.Request);
        }
    }

    private async Task InvokeAsync(AgentId agent, WakeRequest request)
    {
        try
        {
            var sender = AgentName.IsValid(request.SenderId) ? request.SenderId : TmuxInvoker.UnknownSender;
            var isKnown = sender == request.SenderId && AspUuid.TryParse(request.SwarmId, out _);
            var swarm = AspUuid.TryParse(request.SwarmId, out var id) ? new SwarmId(id) : default;
            var session = isKnown ? await conversations.FindAsync(agent, swarm, sender, sessionTimeout, _stopping.Token) : null;
            var next = await invoker.InvokeAsync(sender, session, _stopping.Token);
            if (isKnown && next is not null)
            {
                await conversations.SaveAsync(agent, swarm, sender, next, _stopping.Token);
            }

            Results.Add(1, new KeyValuePair<string, object?>("result", "invoked"));
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Stopping.
        }
        catch (Exception e) when (e is IOException or Win32Exception or OperationCanceledException or Npgsql.NpgsqlException or SwarmException)
        {
            Results.Add(1, new KeyValuePair<string, object?>("result", "failed"));
            LogFailed(invoker.Name, e.Message);
        }
    }

    [LoggerMessage(2201, LogLevel.Warning, "The invocation by {Invoker} failed: {Reason}")]
    private partial void LogFailed(string invoker, string reason);
}
