namespace Swarm.Cli.Doctor;

internal enum CheckResult
{
    Ok,
    Warn,
    Fail,
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Found">What is the case.</param>
/// <param name="Hint">What to do about it; null when all is well.</param>
internal sealed record Check(string Name, CheckResult Result, string Found, string? Hint)
{
    public static Check Ok(string name, string found) => new(name, CheckResult.Ok, found, null);

    public static Check Warn(string name, string found, string hint) => new(name, CheckResult.Warn, found, hint);

    public static Check Fail(string name, string found, string hint) => new(name, CheckResult.Fail, found, hint);
}
