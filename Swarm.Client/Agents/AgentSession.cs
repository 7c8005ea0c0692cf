using System.Text.Json;
using Swarm.Client.Transport;

namespace Swarm.Client;

/// <summary>
/// The session file of an agent (ASP §11.4), written by the agent's own program, so that a wake leaves it alone while it is at work.
/// The file is replaced whole; a reader never sees half of it.
/// </summary>
public sealed record AgentSession
{
    public required string SessionId { get; init; }

    /// <summary><c>idle</c>, <c>active</c> or <c>suspended</c>.</summary>
    public required string State { get; init; }

    public required DateTimeOffset StartedAt { get; init; }

    public required DateTimeOffset LastActive { get; init; }

    public int MessagesProcessed { get; init; }

    public Guid? CurrentSwarm { get; init; }

    public string? ContextSummary { get; init; }

    /// <summary>The session in the file; null when there is none that can be read.</summary>
    public static AgentSession? Load(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllText(path), HubJson.Wire.AgentSession) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Begins to work: goes on with a session that is not idle and fresh, else starts a new one.</summary>
    public static AgentSession StartOrResume(string path, TimeSpan timeout, TimeProvider time)
    {
        var now = time.GetUtcNow();
        var session = Load(path) is { State: not "idle" } kept && now - kept.LastActive <= timeout
            ? kept with { State = "active", LastActive = now }
            : new() { SessionId = Guid.NewGuid().ToString("D"), State = "active", StartedAt = now, LastActive = now };
        return session.Save(path);
    }

    /// <summary>Notes that one more message was worked on.</summary>
    public AgentSession Touch(string path, Guid? swarm, TimeProvider time) =>
        (this with { LastActive = time.GetUtcNow(), MessagesProcessed = MessagesProcessed + 1, CurrentSwarm = swarm }).Save(path);

    /// <summary>Stops for now, with what is to be remembered.</summary>
    public AgentSession Suspend(string path, string? summary, TimeProvider time) =>
        (this with { State = "suspended", LastActive = time.GetUtcNow(), ContextSummary = summary }).Save(path);

    /// <summary>Ends the session.</summary>
    public static void End(string path) => File.Delete(path);

    private AgentSession Save(string path)
    {
        var fresh = $"{path}.{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var file = new FileStream(fresh, options))
        {
            JsonSerializer.Serialize(file, this, HubJson.Wire.AgentSession);
        }

        File.Move(fresh, path, overwrite: true);
        return this;
    }
}
