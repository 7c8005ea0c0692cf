using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm send</c> (ASP §15); returns after the node committed the message.</summary>
internal static class SendCommand
{
    /// <summary>Any delivery failure, an unknown recipient included, is a network error here (ASP §15).</summary>
    private static readonly Dictionary<string, int> OwnExitCodes = new()
    {
        ["unknown-agent"] = ExitCode.Network, ["wrong-recipient"] = ExitCode.Network,
    };

    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var text = new Option<string?>("--message", "-m", "--body")
        {
            Description = "The text, up to 65536 characters; else standard input, trimmed.", HelpName = "TEXT",
        };
        var file = new Option<string?>("--file")
        {
            Description = "Send this file's UTF-8 text, up to 1 MiB, as it is; '-' is standard input.", HelpName = "PATH",
        };
        var allowEmpty = new Option<bool>("--allow-empty") { Description = "Send an empty message on purpose." };
        var to = new Option<string?>("--to", "-t")
        {
            Description = "The member that gets it; everybody else in the swarm when left out.", HelpName = "AGENT",
        };
        var priority = new Option<string?>("--priority") { Description = "low, normal or high." };
        var type = new Option<string?>("--type") { Description = "message, notification or system." };
        var replyTo = new Option<string?>("--reply-to") { Description = "The id of the message that this answers.", HelpName = "ID" };
        var thread = new Option<string?>("--thread") { Description = "The id of the conversation.", HelpName = "ID" };
        var expires = new Option<string?>("--expires")
        {
            Description = "When it loses its worth: 90s, 30m, 2h, 7d, or a time such as 2026-12-31T18:00:00Z.", HelpName = "WHEN",
        };
        var at = new Option<string?>("--at")
        {
            Description = "Deliver it then, not now: 90s, 30m, 2h, 5d, or a time such as 2026-12-31T18:00:00Z; at most 5 days ahead.", HelpName = "WHEN",
        };
        var about = new Option<string[]>("--ref")
        {
            Description = "What it is about: owner/name#12 (issue), owner/name!12 (pull request), owner/name@sha, owner/name or a URL; "
                + "with an action for the board: claimed:owner/name#12. May be repeated.",
            HelpName = "REF",
        };
        priority.AcceptOnlyFromAmong("low", "normal", "high");
        type.AcceptOnlyFromAmong("message", "notification", "system");
        var command = new SwarmCommand("send", "Send a message to a member or to everybody in a swarm.")
        {
            Examples =
            [
                "swarm send -m 'Hello, everybody'",
                "swarm send --as alice -t bob -m 'Can you review this?' --priority high",
                "git diff | swarm send -t bob",
                "swarm send -t bob --file report.md --expires 2h",
                "swarm send -m 'I take this' --ref claimed:octo/spoon#12",
                "swarm send -t bob -m 'Stand-up in five minutes' --at 2026-11-23T08:55:00Z",
            ],
            ExitCodes = OwnExitCodes,
        };
        foreach (var option in new Option[] { swarm, text, file, allowEmpty, to, priority, type, replyTo, thread, expires, at, about })
        {
            command.Add(option);
        }

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var recipient = parsed.GetValue(to) is { } name ? AgentNameText.Parse(name) : OutgoingMessage.Broadcast;
            var now = session.Environment.Clock.GetUtcNow();
            DateTimeOffset? expiry = parsed.GetValue(expires) is { } when ? ExpiryText.Parse(when, now) : null;
            DateTimeOffset? deliverAt = parsed.GetValue(at) is { } later ? ExpiryText.Parse(later, now) : null;
            var references = ReferenceText.Parse(parsed.GetValue(about));
            var content = MessageContent.Read(parsed.GetValue(text), parsed.GetValue(file), parsed.GetValue(allowEmpty), session.Terminal);
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var message = new OutgoingMessage
            {
                From = agent,
                SwarmId = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation),
                To = recipient,
                Content = content,
                Type = parsed.GetValue(type),
                Priority = parsed.GetValue(priority),
                InReplyTo = parsed.GetValue(replyTo),
                ThreadId = parsed.GetValue(thread),
                ExpiresAt = expiry,
                DeliverAt = deliverAt,
                References = references,
            };
            var sent = await client.SendAsync(message, cancellation: cancellation);
            return session.Done(
                new JsonObject
                {
                    ["status"] = "sent", ["message_id"] = sent.MessageId.ToString("D"), ["swarm_id"] = sent.SwarmId.ToString("D"),
                    ["recipient"] = sent.Recipient,
                },
                $"Message sent to {(recipient == OutgoingMessage.Broadcast ? "all members" : recipient)}",
                $"Message ID: {sent.MessageId:D}");
        });
        return command;
    }
}
