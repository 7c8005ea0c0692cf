using Swarm.Cli.Profile;

namespace Swarm.Cli.Doctor;

/// <summary>What counts as well, doubtful and wrong; no input or output here.</summary>
internal static class Rules
{
    /// <summary>The protocol refuses timestamps further ahead than this (design §3, time).</summary>
    public static readonly TimeSpan SkewFails = TimeSpan.FromMinutes(5);

    /// <summary>More than the HTTP date's whole seconds and a slow answer explain.</summary>
    public static readonly TimeSpan SkewWarns = TimeSpan.FromSeconds(5);

    public const long DiskFailsBytes = 200L * 1024 * 1024;

    public const long DiskWarnsBytes = 2L * 1024 * 1024 * 1024;

    public static Check Health(int status, string body) => status == 200
        ? Check.Ok("health", "the node is healthy")
        : Check.Fail(
            "health",
            $"the node answers {status}: {Shown.Short(body.ReplaceLineEndings(" "))}",
            "See the log of 'api' and of 'postgres'; the database is the usual cause.");

    public static Check Clock(DateTimeOffset here, DateTimeOffset? there)
    {
        if (there is not { } node)
        {
            return Check.Warn("clock", "the node sends no Date", "A proxy may have removed it; compare the clocks by hand.");
        }

        var skew = (here - node).Duration();
        var found = $"{skew.TotalSeconds:0} s between this machine and the node";
        const string Hint = "Set both clocks by NTP: signed times more than 5 minutes ahead are refused.";
        return skew >= SkewFails ? Check.Fail("clock", found, Hint)
            : skew > SkewWarns ? Check.Warn("clock", found, Hint)
            : Check.Ok("clock", found);
    }

    public static Check Signals(string signals) => signals == "redis"
        ? Check.Ok("signals", "redis")
        : Check.Warn(
            "signals", signals, "The node works without Redis, with a little more delay and load; install redis-server for more speed.");

    public static Check Disk(string folder, long freeBytes)
    {
        var found = $"{freeBytes / (1024 * 1024)} MiB free for {folder}";
        const string Hint = "Free some space: a node whose disk is full refuses messages until there is room.";
        return freeBytes < DiskFailsBytes ? Check.Fail("disk", found, Hint)
            : freeBytes < DiskWarnsBytes ? Check.Warn("disk", found, Hint)
            : Check.Ok("disk", found);
    }

    public static Check PrivateFile(string name, string path) => PrivateFiles.IsOpenToOthers(path)
        ? Check.Fail(name, $"{path} is open to other users", $"chmod 600 {path}; then make new tokens, others may have read these.")
        : Check.Ok(name, path);
}
