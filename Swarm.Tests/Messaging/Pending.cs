using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Tests.Messaging;

/// <summary>Messages as the parts behind a door see them.</summary>
internal static class Pending
{
    /// <summary>The envelope of a signed message.</summary>
    /// <param name="door">Whose door it came through; null for the Hub API.</param>
    /// <param name="isIdMinted">As if the node had made the id itself.</param>
    public static Envelope Envelope(AspMessage message, AgentId? door, bool isIdMinted = false) => new()
    {
        Protocol = Protocol.AgentSwarm,
        MessageId = message.MessageId,
        IsIdMinted = isIdMinted,
        SwarmId = message.SwarmId,
        Sender = message.SenderId,
        Recipient = message.Recipient,
        Door = door,
        Kind = message.Kind,
        Priority = message.Priority,
        SentAt = AspTimestamp.TryParse(message.Timestamp, out var sentAt) ? sentAt : null,
        SignedBytes = SignedDigest.Compute(message),
        Signature = Convert.FromBase64String(message.Signature),
        Wire = MessageWriter.Write(message),
    };

    /// <summary>A message that was checked and waits for its commit. The fingerprint stands for the signed bytes.</summary>
    public static PendingMessage Of(AspMessage message, AgentId sender, long swarmNo, long version, AgentId recipient, string? trace = null, bool isIdMinted = false)
    {
        var envelope = Envelope(message, recipient, isIdMinted);
        return new()
        {
            Envelope = envelope,
            Sender = sender,
            Fingerprint = envelope.SignedBytes.ToArray(),
            SwarmNo = swarmNo,
            SwarmVersion = version,
            Recipients = [recipient],
            SentAt = envelope.SentAt!.Value,
            Trace = trace,
        };
    }
}
