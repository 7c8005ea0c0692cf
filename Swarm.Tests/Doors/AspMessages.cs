using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Tests.Doors;

/// <summary>Messages for tests, with everything set that a test does not care about.</summary>
internal static class AspMessages
{
    public static AspMessage Make(
        string sender = "alice", string recipient = AgentName.Broadcast, SwarmId swarm = default, string content = "Hello", DateTimeOffset? at = null,
        Guid? id = null) => new()
        {
            MessageId = new MessageId(id ?? Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(at ?? TimeProvider.System.GetUtcNow()),
            SenderId = sender,
            SenderEndpoint = $"https://{sender}.example.com/swarm",
            Recipient = recipient,
            SwarmId = swarm,
            Kind = MessageKind.Message,
            Content = content,
        };

    public static byte[] Signed(Key key, AspMessage message) => MessageWriter.Write(MessageSignature.Sign(key, message));
}
