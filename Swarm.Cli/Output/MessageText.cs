using System.Text;
using Swarm.Client;

namespace Swarm.Cli.Output;

/// <summary>A message as a person reads it: a line of facts, then its text exactly as it was sent.</summary>
internal static class MessageText
{
    public static string Of(InboxMessage message)
    {
        var text = new StringBuilder($"#{message.Seq}  {SwarmTime.Format(message.AcceptedAt)}  {message.Sender} → {message.Recipient}");
        if (message.Type != "message")
        {
            text.Append("  ").Append(message.Type);
        }

        if (message.Priority != "normal")
        {
            text.Append("  ").Append(message.Priority);
        }

        if (!message.Verified)
        {
            text.Append("  NOT VERIFIED");
        }

        return text.Append('\n').Append(message.Content).Append('\n').ToString();
    }
}
