using Swarm.Client;

namespace Swarm.Cli;

/// <summary>The face that an error of the node has at the command line: its exit code, and the hint that helps.</summary>
internal static class Failures
{
    /// <summary>Exit codes by error id, where the HTTP status alone would say too little.</summary>
    private static readonly Dictionary<string, int> ExitCodes = new()
    {
        ["invalid-request"] = ExitCode.BadArguments,
        ["body-too-large"] = ExitCode.BadArguments,
        ["content-too-long"] = ExitCode.BadArguments,
        ["invalid-timestamp"] = ExitCode.BadArguments,
        ["invalid-name"] = ExitCode.BadArguments,
        ["unsupported-version"] = ExitCode.BadArguments,
        ["invalid-key"] = ExitCode.BadArguments,
        ["may-not-kick-oneself"] = ExitCode.BadArguments,
        ["unauthenticated"] = ExitCode.Permission,
        ["forbidden"] = ExitCode.Permission,
        ["key-not-held"] = ExitCode.Permission,
        ["not-master"] = ExitCode.Permission,
        ["invalid-token"] = ExitCode.Permission,
        ["token-signature"] = ExitCode.Permission,
        ["token-expired"] = ExitCode.Permission,
        ["token-exhausted"] = ExitCode.Permission,
        ["token-revoked"] = ExitCode.Permission,
        ["unknown-agent"] = ExitCode.NotFound,
        ["unknown-swarm"] = ExitCode.NotFound,
        ["not-a-member"] = ExitCode.NotFound,
        ["unknown-dead-letter"] = ExitCode.NotFound,
        ["unknown-message"] = ExitCode.NotFound,
        ["unknown-request"] = ExitCode.NotFound,
        ["transfer-declined"] = ExitCode.Permission,
        ["join-rejected"] = ExitCode.General,
        ["peer-unreachable"] = ExitCode.Network,
        ["rate-limited"] = ExitCode.Network,

        // A1's routes say the exact cause (A1 §9, §20).
        ["InvalidRequest"] = ExitCode.BadArguments,
        ["Shape"] = ExitCode.BadArguments,
        ["WireFormatError"] = ExitCode.BadArguments,
        ["EmptyTree"] = ExitCode.BadArguments,
        ["IntentNotFound"] = ExitCode.Permission,
        ["PassportNarrowingViolation"] = ExitCode.Permission,
        ["NotTheOwner"] = ExitCode.Permission,
        ["SwarmNotFound"] = ExitCode.NotFound,
        ["PassportNotFound"] = ExitCode.NotFound,
        ["too-busy"] = ExitCode.Network,
        ["not-ready"] = ExitCode.Network,
        ["unavailable"] = ExitCode.Network,
    };

    private static readonly Dictionary<string, string> Hints = new()
    {
        ["unauthenticated"] = "The node does not know this token. Make a new one: swarm init -a NAME --force; see also 'swarm doctor'.",
        ["forbidden"] = "Act as another agent with --as NAME, or use the operator's token.",
        ["unknown-agent"] = "'swarm agent list' shows the agents of this node.",
        ["unknown-swarm"] = "'swarm list' shows the swarms of the acting agent.",
        ["not-a-member"] = "Join first: swarm join -t TOKEN. 'swarm list --members' shows who is in.",
        ["wrong-recipient"] = "Is the recipient a member of this swarm? 'swarm list --members' shows who is in.",
        ["not-master"] = "Only the master may do this; 'swarm list' shows who that is.",
        ["capability-required"] = "'swarm grant --list' shows what the swarm demands; its master grants with 'swarm grant AGENT'.",
        ["unknown-grant"] = "'swarm grant --list' shows who was granted what.",
        ["unknown-message"] = "'swarm messages --status all --json' shows the ids.",
        ["unknown-request"] = "'swarm approve' shows who waits.",
        ["unsupported-version"] = "'swarm export' writes 2.0.0; 1.0.0 is read too.",
        ["unknown-dead-letter"] = "'swarm dlq list' shows what is there.",
        ["peer-unreachable"] = "The invitation names a node elsewhere; is it up, and reachable from this one? (See Egress in docs/operations.md.)",
        ["name-taken"] = "Take another name, or take the agent over with 'swarm init -a NAME --force'.",
        ["Unauthenticated"] = "This needs the operator's token: run it below the node's folder (.swarm/), or put the token into SWARM_TOKEN.",
        ["Forbidden"] = "This needs the operator's token: run it below the node's folder (.swarm/), or put the token into SWARM_TOKEN.",
        ["PassportNotFound"] = "'swarm passport list' shows what is there.",
        ["PassportNarrowingViolation"] = "Nobody hands on more than he has: see what it may with 'swarm passport list', or 'swarm inspect'.",
        ["IntentNotFound"] = "Nobody hands on more than he has: see what it may with 'swarm passport list', or 'swarm inspect'.",
        ["KeyNotHeld"] = "The node does not keep that key: sign with it by --key FILE.",
        ["token-expired"] = "Ask for a fresh invitation.",
        ["token-exhausted"] = "Ask for a fresh invitation.",
        ["token-revoked"] = "Ask for a fresh invitation.",
        ["invalid-token"] = "Hand over the whole text that 'swarm invite' printed: swarm://…?token=…",
        ["master-may-not-leave"] = "A master stays with its swarm; others may leave.",
        ["unavailable"] = "The node runs, but its database does not answer; see its log, and 'swarm doctor'.",
    };

    /// <summary>The failure as it is shown; <paramref name="overrides"/> are the command's own exit codes by error id.</summary>
    public static CliException Face(Exception failure, IReadOnlyDictionary<string, int>? overrides = null) => failure switch
    {
        CliException cli => cli,
        SwarmApiException api => new CliException(CodeOf(api, overrides), api.Detail, Hint(api), api),
        SwarmConnectionException lost => new CliException(
            ExitCode.Network, lost.Message, "Is the node running? Start it with ./run.sh, or name another with --url.", lost),
        UnauthorizedAccessException denied => new CliException(ExitCode.Permission, denied.Message, null, denied),
        _ => new CliException(ExitCode.General, failure.Message, null, failure),
    };

    private static int CodeOf(SwarmApiException api, IReadOnlyDictionary<string, int>? overrides)
    {
        if (overrides is not null && overrides.TryGetValue(api.ErrorId, out var own))
        {
            return own;
        }

        return ExitCodes.TryGetValue(api.ErrorId, out var code) ? code : api.Status switch
        {
            401 or 403 => ExitCode.Permission,
            404 when api.ErrorId != SwarmApiException.UnknownErrorId => ExitCode.NotFound,
            429 or >= 500 => ExitCode.Network,
            _ => ExitCode.General,
        };
    }

    private static string? Hint(SwarmApiException api)
    {
        if (api.RetryAfter is { } wait)
        {
            return $"Try again in {Math.Max(1, Math.Ceiling(wait.TotalSeconds)):0} s.";
        }

        return Hints.GetValueOrDefault(api.ErrorId);
    }
}
