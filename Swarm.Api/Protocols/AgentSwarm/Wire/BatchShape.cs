using System.Diagnostics.CodeAnalysis;
using Swarm.Core.Messaging;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <param name="Ids">As they came, repeats included; some may be no message ids at all.</param>
internal sealed record Batch(IReadOnlyList<string> Ids, string Word, MailAction Action);

/// <summary>Reads the body of <c>POST /api/inbox/batch</c> (ASP §9.1), or explains what is wrong with it.</summary>
internal static class BatchShape
{
    public static bool TryRead(
        ReadOnlyMemory<byte> body, bool isJson, [NotNullWhen(true)] out Batch? batch, out IReadOnlyList<ShapeFailure> found)
    {
        var failures = new ShapeFailures();
        batch = null;
        found = failures.Found;
        using var document = failures.ReadObject(body, isJson);
        if (document is null)
        {
            return false;
        }

        var ids = failures.RequireTexts(document.RootElement, "message_ids", Mailbox.BatchMax);
        failures.CheckWord(document.RootElement, isRequired: true, "action", "read", "archive", "delete");
        if (found.Count > 0)
        {
            return false;
        }

        var word = document.RootElement.GetProperty("action").GetString()!;
        batch = new(ids, word, word switch { "read" => MailAction.Read, "archive" => MailAction.Archive, _ => MailAction.Delete });
        return true;
    }
}
