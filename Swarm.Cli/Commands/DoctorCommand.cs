using System.Text.Json.Nodes;
using Swarm.Cli.Doctor;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm doctor</c>: looks for what commonly goes wrong, and says what to do about it.</summary>
internal static class DoctorCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("doctor", "Check the node and this profile; exit 1 when something fails.")
        {
            Examples = ["swarm doctor", "swarm doctor --json"],
        };
        command.Runs(open, async (session, _, cancellation) =>
        {
            var checks = await new Examination(session).RunAsync(cancellation);
            var worst = checks.Max(check => check.Result);
            if (session.Json)
            {
                session.Done(new JsonObject { ["status"] = Word(worst), ["checks"] = new JsonArray([.. checks.Select(ToJson)]) });
            }
            else
            {
                session.Terminal.WriteTable(
                    ["Check", "Result", "Found", "What to do"],
                    checks.Select(check => (IReadOnlyList<string>)[check.Name, Word(check.Result), check.Found, check.Hint ?? ""]));
            }

            return worst == CheckResult.Fail ? ExitCode.General : ExitCode.Ok;
        });
        return command;
    }

    private static string Word(CheckResult result) => result switch
    {
        CheckResult.Ok => "ok",
        CheckResult.Warn => "warn",
        _ => "fail",
    };

    private static JsonObject ToJson(Check check)
    {
        var json = new JsonObject { ["name"] = check.Name, ["result"] = Word(check.Result), ["found"] = check.Found };
        if (check.Hint is not null)
        {
            json["hint"] = check.Hint;
        }

        return json;
    }
}
