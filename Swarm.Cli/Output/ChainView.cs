using System.Text;
using Swarm.Client;

namespace Swarm.Cli.Output;

/// <summary>A certificate, chain, passport or token as a person reads it: who lets whom do what, until when, and why it would be refused.</summary>
internal static class ChainView
{
    /// <summary>Extensions that A1 itself writes; what they say is shown already.</summary>
    private const string Reserved = "dyolo.";

    /// <summary>What it says, and in the last line what speaks against it.</summary>
    public static string Write(Inspection found) => $"{Describe(found)}\n{Outcome(found)}";

    /// <summary>What it says, with a line end.</summary>
    public static string Describe(Inspection found)
    {
        var text = new StringBuilder();
        text.Append(Title(found)).Append('\n');
        Line(text, "  ", "fingerprint", found.Fingerprint);
        if (found.Principal is { } principal)
        {
            Line(text, "  ", "in the name of", principal.Did);
            Line(text, "  ", "who may", Names(principal.Capabilities, principal.ScopeRoot));
        }

        if (found.Token is { } token)
        {
            Line(text, "  ", "intent", $"hash {token.Intent}");
            Line(text, "  ", "verified at", Time(token.VerifiedAt));
        }

        for (var i = 0; i < found.Hops.Count; i++)
        {
            Hop(text.Append('\n'), i, found.Hops[i]);
        }

        return text.ToString();
    }

    private static string Outcome(Inspection found) => found switch
    {
        { Refusal: { } refusal } => $"Refused now: {Reason(refusal)}",
        { Kind: "chain" } => "Nothing speaks against it: its last agent may do what the last certificate says, once.",
        { Kind: "token" } => "This node vouched for it.",
        _ => "Nothing speaks against it.",
    };

    /// <summary>A1's words and code.</summary>
    public static string Reason(Refusal refusal) => $"{refusal.Error} ({refusal.ErrorCode ?? refusal.DetailCode})";

    private static string Title(Inspection found) => found.Kind switch
    {
        "chain" => $"Chain of {found.Hops.Count} {(found.Hops.Count == 1 ? "certificate" : "certificates")}{Named(found)}",
        "passport" => $"Passport{Named(found)}",
        "token" => $"Token over a chain of {found.Token!.ChainDepth}",
        _ => $"Certificate{Named(found)}",
    };

    private static string Named(Inspection found) => string.IsNullOrEmpty(found.Namespace) ? "" : $" {Word(found.Namespace)}";

    private static void Hop(StringBuilder text, int index, ChainHop hop)
    {
        text.Append(hop.From == hop.To ? $"  {index + 1}. {hop.From} for itself\n" : $"  {index + 1}. {hop.From}\n     → {hop.To}\n");
        Line(text, "     ", "may", Names(hop.Capabilities, hop.ScopeRoot));
        Line(text, "     ", "until", $"{Time(hop.ExpiresAt)}, from {Time(hop.IssuedAt)}");
        Line(text, "     ", "chain", hop.MaxDepth <= index + 1 ? "may not be handed on" : $"of {hop.MaxDepth} certificates at most");
        Line(text, "     ", "fingerprint", hop.Fingerprint);
        Line(text, "     ", "signature", hop.SignatureValid ? "valid" : "NOT VALID");
        if (Remarks(hop).ToArray() is { Length: > 0 } remarks)
        {
            Line(text, "     ", "remarks", string.Join(", ", remarks));
        }

        if (hop.Revoked)
        {
            Line(text, "     ", "state", "REVOKED");
        }
        else if (hop.Used)
        {
            Line(text, "     ", "state", "used: each certificate counts once");
        }
    }

    private static string Names(IReadOnlyList<string>? names, string root) =>
        names is null ? $"what only its hash tells: {root}" : string.Join(", ", names.Select(Word));

    /// <summary>The signer's words: in quotes where they could look like something else, such as two names.</summary>
    private static string Word(string text) => text.Length > 0 && text.All(IsPlain) ? text : JsonText.Line(text);

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or ':' or '/' or '*' or '@' or '+';

    private static IEnumerable<string> Remarks(ChainHop hop) =>
        (hop.Extensions ?? []).Where(field => !field.Key.StartsWith(Reserved, StringComparison.Ordinal) && field.Value is not null)
            .Select(field => $"{Word(field.Key)}={JsonText.Line(field.Value!)}");

    private static string Time(DateTimeOffset? time) => time is { } known ? SwarmTime.Format(known) : "no end";

    private static void Line(StringBuilder text, string indent, string label, string value) =>
        text.Append(indent).Append($"{label + ":",-16}").Append(TextSanitiser.CleanLine(value)).Append('\n');
}
