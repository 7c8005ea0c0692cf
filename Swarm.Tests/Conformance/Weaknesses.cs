using System.Reflection;
using System.Text;

namespace Swarm.Tests.Conformance;

/// <summary>The weaknesses of the references (ASP §20, A1 §16), in our words, and the tests that attack this node by them.</summary>
internal static class Weaknesses
{
    private static readonly (string Id, string What)[] AgentSwarm =
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

    private static readonly (string Id, string What)[] A1 =
    [
        ("A1-W01", "Whoever makes a key and a scope is authorized by it"),
        ("A1-W02", "A passport that is revoked or over changes nothing"),
        ("A1-W03", "Who is removed keeps what it was issued"),
        ("A1-W04", "Anybody revokes, issues, and reads and writes files"),
        ("A1-W05", "Used nonces are forgotten before their certificates end"),
        ("A1-W06", "A swarm is taken over by its name"),
        ("A1-W07", "Every member may everything, for ever, signed by anybody"),
        ("A1-W08", "One request ends the server"),
        ("A1-W09", "A leaf says of itself what it is of"),
        ("A1-W10", "Passports are believed unread"),
        ("A1-W11", "Private keys travel in the clear to who does not need them"),
        ("A1-W12", "A scope of two capabilities authorizes neither"),
        ("A1-W13", "An answer that was lost cannot be asked for again"),
        ("A1-W14", "Swarms live in one process and die with it"),
        ("A1-W15", "Negotiation checks one name and grants another"),
        ("A1-W16", "A bridge does for strangers what only operators may"),
        ("A1-W17", "The administration is open as installed"),
        ("A1-W18", "Nothing is written down"),
        ("A1-W19", "A key of idempotency serves any body, of anybody"),
        ("A1-W20", "Masks and commitments collide"),
        ("A1-W21", "Errors have many forms, and one code for six causes"),
        ("A1-W22", "Tenants and policies are announced, and asked nowhere"),
        ("A1-W23", "Clients cannot read what the server sends them"),
    ];

    /// <summary>All of them, sorted as text is.</summary>
    public static IEnumerable<string> Ids => AgentSwarm.Concat(A1).Select(weakness => weakness.Id).Order(StringComparer.Ordinal);

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

            ## Weaknesses of the references and the tests that attack them

            Made from the `[Refuses]` attributes: each test tries the attack (ASP §20, A1 §16) against this node, and finds it refused or bounded, with nothing changed.

            | Weakness | What | Tests |
            |---|---|---|

            """);
        foreach (var (id, what) in AgentSwarm.Concat(A1))
        {
            page.Append("| ").Append(id).Append(" | ").Append(what).Append(" | ")
                .AppendJoin("<br>", Tests[id].Order(StringComparer.Ordinal).Select(name => $"`{name}`")).Append(" |\n");
        }

        return page.ToString();
    }
}
