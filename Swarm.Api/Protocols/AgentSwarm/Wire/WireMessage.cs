using Swarm.Core.Messaging;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>A message of ASP §3 whose shape is right, as places within its body. Nothing in it is believed yet.</summary>
internal struct WireMessage
{
    public JsonText ProtocolVersion;
    public JsonText MessageIdText;
    public JsonText Timestamp;
    public JsonText SenderId;
    public JsonText SenderEndpoint;
    public JsonText Recipient;
    public JsonText SwarmIdText;
    public JsonText Type;
    public JsonText Content;
    public JsonText Signature;
    public JsonText ExpiresAt;
    public Guid MessageId;
    public Guid SwarmId;
    public MessageKind Kind;
    public Priority Priority;
}
