using System.Text.Json;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Delivery.Wake;

/// <summary>What an agent is doing, as it says itself (ASP §11.4).</summary>
public enum SessionState
{
    Idle,
    Active,
    Suspended,
}

/// <summary>An agent's session as its own code writes it.</summary>
public sealed record SessionRecord(string SessionId, SessionState State, DateTimeOffset StartedAt, DateTimeOffset LastActive)
{
    /// <summary>The agent is at work: no need to wake it.</summary>
    public bool IsActive(DateTimeOffset now, TimeSpan timeout) => State == SessionState.Active && IsFresh(now, timeout);

    /// <summary>The agent can go on where it stopped.</summary>
    public bool MayResume(DateTimeOffset now, TimeSpan timeout) => State != SessionState.Idle && IsFresh(now, timeout);

    private bool IsFresh(DateTimeOffset now, TimeSpan timeout) => now - LastActive <= timeout;
}

/// <summary>Reads the session file at each call. Whatever is wrong with it, it counts as absent, and somebody is told.</summary>
public static class SessionFile
{
    /// <summary>The largest file that is read, in bytes.</summary>
    public const int BytesMax = 64 * 1024;

    /// <param name="problem">Why the file counts as absent; null when it is absent, or good.</param>
    public static SessionRecord? Read(string path, out string? problem)
    {
        problem = null;
        try
        {
            if (!File.Exists(path))
            {
                return null;
            }

            var bytes = new byte[BytesMax + 1];
            using var file = File.OpenRead(path);
            var length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (length > BytesMax)
            {
                problem = $"it is larger than {BytesMax} bytes";
                return null;
            }

            return Parse(bytes.AsMemory(0, length), out problem);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = "it cannot be read";
            return null;
        }
    }

    private static SessionRecord? Parse(ReadOnlyMemory<byte> json, out string? problem)
    {
        problem = null;
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement;
            SessionState? state = root.GetProperty("state"u8).GetString() switch
            {
                "idle" => SessionState.Idle,
                "active" => SessionState.Active,
                "suspended" => SessionState.Suspended,
                _ => null,
            };
            if (state is { } known && root.GetProperty("session_id"u8).GetString() is { } id
                && AspTimestamp.TryParseAny(root.GetProperty("started_at"u8).GetString() ?? "", out var startedAt)
                && AspTimestamp.TryParseAny(root.GetProperty("last_active"u8).GetString() ?? "", out var lastActive))
            {
                return new(id, known, startedAt, lastActive);
            }

            problem = "its state or a time is none";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            problem = "it is no session in JSON";
        }

        return null;
    }
}
