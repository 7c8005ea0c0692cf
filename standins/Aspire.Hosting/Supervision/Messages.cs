using System.Text.Json.Serialization;

namespace Aspire.Hosting.Supervision;

/// <summary>What the app host asks of its supervisor: one JSON object a line on the supervisor's standard input.</summary>
internal sealed record Request
{
    public required string Operation { get; init; }

    public required int Id { get; init; }

    public ProcessSpec? Process { get; init; }

    /// <summary>The file to lock, or the folder to remove at the end.</summary>
    public string? Path { get; init; }

    /// <summary>The start request whose process gets the signal.</summary>
    public int Target { get; init; }

    public int Signal { get; init; }
}

/// <summary>A process to run.</summary>
internal sealed record ProcessSpec
{
    public required string Name { get; init; }

    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>The whole environment: nothing is inherited.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    public required string Folder { get; init; }

    /// <summary>Takes the process's output; appended to.</summary>
    public required string LogFile { get; init; }

    /// <summary>Higher tiers are stopped first; the processes of one tier together.</summary>
    public required int Tier { get; init; }

    public required int StopSignal { get; init; }

    public required int GraceMilliseconds { get; init; }

    /// <summary>Sent when the grace is over.</summary>
    public required int LastSignal { get; init; }

    /// <summary>Run once the process has ended, such as the removal of its container.</summary>
    public IReadOnlyList<string>? Afterwards { get; init; }
}

/// <summary>What the supervisor tells: one JSON object a line on its standard output.</summary>
internal sealed record Event
{
    public required string Kind { get; init; }

    /// <summary>The request that it answers or belongs to.</summary>
    public required int Id { get; init; }

    /// <summary>A process id for <c>started</c>, an exit code for <c>exited</c>.</summary>
    public int Number { get; init; }

    /// <summary>Null when it went well.</summary>
    public string? Error { get; init; }
}

internal static class Operations
{
    public const string Lock = "lock";
    public const string Start = "start";
    public const string Signal = "signal";
    public const string RemoveAtEnd = "remove-at-end";
    public const string End = "end";
}

internal static class Kinds
{
    public const string Locked = "locked";
    public const string Started = "started";
    public const string Exited = "exited";
    public const string Done = "done";
    public const string Ended = "ended";
}

/// <summary>Signal numbers of Linux and macOS alike.</summary>
internal static class UnixSignals
{
    public const int Interrupt = 2;
    public const int Quit = 3;
    public const int Kill = 9;
    public const int Terminate = 15;
}

[JsonSerializable(typeof(Request))]
[JsonSerializable(typeof(Event))]
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
internal sealed partial class MessageJson : JsonSerializerContext;
