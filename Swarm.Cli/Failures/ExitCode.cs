namespace Swarm.Cli;

/// <summary>The exit codes of <c>swarm</c> (ASP §15); they never change their meaning.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>Anything that has no code of its own.</summary>
    public const int General = 1;

    public const int BadArguments = 2;

    /// <summary>The node cannot be reached, or cannot serve now.</summary>
    public const int Network = 3;

    /// <summary>A token is missing, wrong, or does not allow this.</summary>
    public const int Permission = 4;

    public const int NotFound = 5;

    /// <summary>Ctrl-C.</summary>
    public const int Interrupted = 130;

    /// <summary>Asked to end by SIGTERM.</summary>
    public const int Terminated = 143;
}
