using System.CommandLine;

namespace Swarm.Cli.Commands;

/// <summary>Options that several commands have; fresh ones each time, because a symbol belongs to one command.</summary>
internal static class CommonOptions
{
    public static Option<string?> Swarm() => new("--swarm", "-s")
    {
        Description = "The swarm's id (else SWARM_ID, the profile's default_swarm, or the acting agent's only swarm).", HelpName = "ID",
    };

    public static Option<bool> Yes() => new("--yes", "-y") { Description = "Do not ask." };

    public static Option<int?> Number(string name, string? alias, string description, int min, int max)
    {
        var option = new Option<int?>(name, alias is null ? [] : [alias]) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            // A value that is no number has an error of its own.
            if (result.Tokens is [{ Value: var text }] && int.TryParse(text, out var value) && (value < min || value > max))
            {
                result.AddError($"{name} is from {min} to {max}.");
            }
        });
        return option;
    }
}
