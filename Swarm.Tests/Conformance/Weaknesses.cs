using System.Reflection;
using System.Text;

namespace Swarm.Tests.Conformance;

/// <summary>The weaknesses of the reference (ASP §20), in our words, and the tests that attack this node by them.</summary>
internal static class Weaknesses
{
    private static readonly (string Id, string What)[] All =
    [
        ("W-01", "Anybody injects any message as any agent"),
        ("W-02", "Forged events empty rosters, plant endpoints, overwrite keys"),
        ("W-03", "The inbox is open to everybody"),
        ("W-04", "Anybody wakes the agent, and types into its terminal"),
        ("W-05", "A time that is none poisons a roster"),
        ("W-06", "Text moves between signed fields; other fields are not signed"),
        ("W-07", "Replays act again"),
        ("W-08", "A stranger takes a message's id"),
        ("W-09", "Export fails, import erases"),
        ("W-10", "Message text is obeyed as markup, and lost unread"),
        ("W-11", "Invites are not counted or revoked, any server admits, keys are not proven"),
        ("W-12", "An announcement makes the server call any address"),
        ("W-13", "Who is not reached is not kicked, and rosters drift for good"),
        ("W-14", "What a recipient misses is lost, and nobody is told"),
        ("W-15", "Members' invites never work"),
        ("W-16", "Swarms that approve cannot be joined"),
        ("W-17", "A master cannot leave, hand over or end its swarm"),
        ("W-18", "Who was kicked goes on"),
        ("W-19", "One rate limit for all paths of an address, without bound"),
        ("W-20", "A slow peer holds up every answer; wakes are lost"),
        ("W-21", "Bodies, texts and nesting without bound; broadcasts one after the other"),
        ("W-22", "Whoever holds a token learns everybody's endpoint and key"),
        ("W-23", "A new key is taken silently, or never"),
        ("W-24", "Reasons and ids are pasted into JSON"),
        ("W-25", "Crafted input makes a 500"),
        ("W-26", "Muted senders fill the inbox, whose list ends at 100"),
        ("W-27", "Expiry is ignored, order is undefined, nobody knows what was delivered"),
        ("W-28", "Whoever carries a message reads it"),
        ("W-29", "Secrets are compared in variable time, and lie open on the disk"),
        ("W-30", "A session is cached for ever; errors are no JSON, and on standard output"),
        ("W-31", "The monitor loses and doubles events"),
        ("W-32", "As installed, nobody is told who joined"),
    ];

    public static IEnumerable<string> Ids => All.Select(weakness => weakness.Id);

    /// <summary>The tests by the weakness that they attack.</summary>
    public static ILookup<string, string> Tests { get; } = (
        from method in typeof(Weaknesses).Assembly.GetTypes().SelectMany(type => type.GetMethods())
        from id in method.GetCustomAttribute<RefusesAttribute>()?.Weaknesses ?? []
        select (id, name: $"{method.DeclaringType!.Name}.{method.Name}")).ToLookup(pair => pair.id, pair => pair.name);

    /// <summary>The table in <c>docs/conformance.md</c>.</summary>
    public static string Render()
    {
        var page = new StringBuilder(
            """

            ## Weaknesses of the reference and the tests that attack them

            Made from the `[Refuses]` attributes: each test tries the attack (ASP §20) against this node, and finds it refused or bounded, with nothing changed.

            | Weakness | What | Tests |
            |---|---|---|

            """);
        foreach (var (id, what) in All)
        {
            page.Append("| ").Append(id).Append(" | ").Append(what).Append(" | ")
                .AppendJoin("<br>", Tests[id].Order(StringComparer.Ordinal).Select(name => $"`{name}`")).Append(" |\n");
        }

        return page.ToString();
    }
}
