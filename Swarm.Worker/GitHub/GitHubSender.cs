using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Core;
using Swarm.Core.GitHub;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Swarms;

namespace Swarm.Worker.GitHub;

/// <summary>Sends stored events to their coordinators, one notification each. What cannot be sent stays, and is tried again.</summary>
internal sealed partial class GitHubSender(
    GitHubState state, GitHubOptions options, AgentDirectory directory, Sending sending, ILogger<GitHubSender> logger)
{
    /// <summary>Sends one event, if one may be sent now.</summary>
    /// <returns>False when there is none.</returns>
    public async Task<bool> SendNextAsync(CancellationToken cancellation)
    {
        if (await state.TakeAsync(cancellation) is not { } next)
        {
            return false;
        }

        if (await TrySendAsync(next, cancellation) is { } failure)
        {
            LogFailed(next.EventType, next.Repo, next.Number, next.Coordinator, failure, next.Attempts);
            await state.FailedAsync(next, failure, cancellation);
        }
        else
        {
            await state.SentAsync(next, cancellation);
        }

        return true;
    }

    /// <returns>Why it was not sent; null when it was, now or before.</returns>
    private async Task<string?> TrySendAsync(PendingEvent next, CancellationToken cancellation)
    {
        if (await directory.FindAsync(options.Agent, cancellation) is not { } from)
        {
            return $"The agent {options.Agent} is not on this node.";
        }

        try
        {
            var (_, receipt) = await sending.SendAsync(from, ToDraft(next), cancellation);

            // The id belongs to the event, so whatever has it already is this notice.
            return receipt.Error is { } error && error != SwarmError.MessageIdReused ? error.Meaning : null;
        }
        catch (SwarmException e)
        {
            return e.Message;
        }
    }

    private Draft ToDraft(PendingEvent next)
    {
        var reference = new JsonObject
        {
            ["type"] = next.EventType.StartsWith("pr_", StringComparison.Ordinal) ? "github_pr" : "github_issue", ["repo"] = next.Repo, ["number"] = next.Number,
        };
        if (next.Url.Length > 0)
        {
            reference["url"] = next.Url;
        }

        return new(new SwarmId(Guid.Parse(options.SwarmId)), next.Notice)
        {
            To = next.Coordinator,
            Kind = MessageKind.Notification,
            Priority = Priority.High,
            MessageId = IdOf(next.Key),
            References = ToElement(new JsonArray(reference)),
            Metadata = ToElement(new JsonObject { ["source"] = "github-monitor", ["event_type"] = next.EventType, ["github_url"] = next.Url }),
        };
    }

    /// <summary>The message id of an event (a UUID of version 8: made of a hash), so that a notice whose answer was lost is not sent twice.</summary>
    private static MessageId IdOf(string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes("swarm github event " + key), hash);
        hash[6] = (byte)((hash[6] & 0x0f) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3f) | 0x80);
        return new(new Guid(hash[..16], bigEndian: true));
    }

    private static JsonElement ToElement(JsonNode node) => JsonElement.Parse(node.ToJsonString());

    [LoggerMessage(3211, LogLevel.Warning, "GitHub: {Type} in {Repo}#{Number} could not be told to {Coordinator} (try {Attempt}): {Reason} It is tried again.")]
    private partial void LogFailed(string type, string repo, long number, string coordinator, string reason, int attempt);
}
