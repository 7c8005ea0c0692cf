using System.CommandLine;

namespace Swarm.Cli.Commands;

/// <summary>Options that the commands about capabilities share; fresh ones each time.</summary>
internal static class CapabilityOptions
{
    public static Option<string[]> Allow(string description) => new("--allow") { Description = description, HelpName = "NAME,…" };

    public static Option<string?> Ttl(string usual) => new("--ttl") { Description = $"How long it lives: 90m, 12h, 30d, 1y, or seconds ({usual}).", HelpName = "TIME" };

    public static Option<string?> Out(string what) => new("--out", "-o") { Description = $"Write {what} to this file, readable by you alone.", HelpName = "FILE" };

    public static Option<string?> Key() => new("--key")
    {
        Description = "Sign with the seed in this file, which is sent along; else with the key that the node keeps.", HelpName = "FILE",
    };

    public static Option<string> Agent(string description) => new("--agent", "-a")
    {
        Required = true, Description = description + " A public key (64 hex digits), did:a1:…, or an agent of this node.", HelpName = "KEY",
    };

    public static Option<string> Role()
    {
        var role = new Option<string>("--role", "-r") { Description = "orchestrator, supervisor, worker (default) or auditor.", DefaultValueFactory = _ => "worker" };
        role.AcceptOnlyFromAmong("orchestrator", "supervisor", "worker", "auditor");
        return role;
    }
}
