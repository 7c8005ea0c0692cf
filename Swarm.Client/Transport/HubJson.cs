using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Swarm.Client.Transport;

/// <summary>The wire form of the Hub API: snake_case, absent instead of null.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(Rfc3339Converter)])]
[JsonSerializable(typeof(Agent))]
[JsonSerializable(typeof(AgentPage))]
[JsonSerializable(typeof(PingOrder))]
[JsonSerializable(typeof(PingResult))]
[JsonSerializable(typeof(NewAgent))]
[JsonSerializable(typeof(CreatedAgent))]
[JsonSerializable(typeof(TokenList))]
[JsonSerializable(typeof(NewToken))]
[JsonSerializable(typeof(CreatedToken))]
[JsonSerializable(typeof(NewEnrolment))]
[JsonSerializable(typeof(CreatedEnrolment))]
[JsonSerializable(typeof(Enrolment))]
[JsonSerializable(typeof(NewSwarm))]
[JsonSerializable(typeof(SwarmInfo))]
[JsonSerializable(typeof(SwarmPage))]
[JsonSerializable(typeof(MemberPage))]
[JsonSerializable(typeof(NewInvite))]
[JsonSerializable(typeof(Invite))]
[JsonSerializable(typeof(JoinOrder))]
[JsonSerializable(typeof(JoinResult))]
[JsonSerializable(typeof(LeaveOrder))]
[JsonSerializable(typeof(LeaveResult))]
[JsonSerializable(typeof(KickOrder))]
[JsonSerializable(typeof(KickResult))]
[JsonSerializable(typeof(OutgoingMessage))]
[JsonSerializable(typeof(SendResult))]
[JsonSerializable(typeof(MessageBatch))]
[JsonSerializable(typeof(BatchResults))]
[JsonSerializable(typeof(OutboxPage))]
[JsonSerializable(typeof(InboxMessage))]
[JsonSerializable(typeof(InboxPage))]
[JsonSerializable(typeof(InboxCounts))]
[JsonSerializable(typeof(InboxReset))]
[JsonSerializable(typeof(BoardPage))]
[JsonSerializable(typeof(SeqList))]
[JsonSerializable(typeof(UpdateCount))]
[JsonSerializable(typeof(SentCounts))]
[JsonSerializable(typeof(MailboxCounts))]
[JsonSerializable(typeof(MailChange))]
[JsonSerializable(typeof(ArchiveOrder))]
[JsonSerializable(typeof(Archived))]
[JsonSerializable(typeof(PurgeOrder))]
[JsonSerializable(typeof(PurgeResult))]
[JsonSerializable(typeof(ImportResult))]
[JsonSerializable(typeof(System.Text.Json.Nodes.JsonObject))]
[JsonSerializable(typeof(PendingPage))]
[JsonSerializable(typeof(MasterOrder))]
[JsonSerializable(typeof(DecisionResult))]
[JsonSerializable(typeof(TransferOrder))]
[JsonSerializable(typeof(AgreeOrder))]
[JsonSerializable(typeof(AgreeResult))]
[JsonSerializable(typeof(TransferResult))]
[JsonSerializable(typeof(DissolveResult))]
[JsonSerializable(typeof(LeaseOrder))]
[JsonSerializable(typeof(Lease))]
[JsonSerializable(typeof(AckOrder))]
[JsonSerializable(typeof(NakOrder))]
[JsonSerializable(typeof(ExtendOrder))]
[JsonSerializable(typeof(Extended))]
[JsonSerializable(typeof(MuteOrder))]
[JsonSerializable(typeof(MuteResult))]
[JsonSerializable(typeof(MuteList))]
[JsonSerializable(typeof(AgentSession))]
[JsonSerializable(typeof(WakeSetup))]
[JsonSerializable(typeof(NewWake))]
[JsonSerializable(typeof(TracePage))]
[JsonSerializable(typeof(DeadLetterPage))]
[JsonSerializable(typeof(DeadLetter))]
[JsonSerializable(typeof(DeadLetterOrder))]
[JsonSerializable(typeof(DeadLetterChange))]
[JsonSerializable(typeof(NodeStatus))]
[JsonSerializable(typeof(NodeStats))]
[JsonSerializable(typeof(BackupResult))]
[JsonSerializable(typeof(Inspection))]
[JsonSerializable(typeof(GrantList))]
[JsonSerializable(typeof(Grant))]
[JsonSerializable(typeof(DemandOrder))]
[JsonSerializable(typeof(GrantOrder))]
[JsonSerializable(typeof(PassportOrder))]
[JsonSerializable(typeof(RenewalOrder))]
[JsonSerializable(typeof(PassportAnswer))]
[JsonSerializable(typeof(PassportPage))]
[JsonSerializable(typeof(PassportRevocation))]
[JsonSerializable(typeof(PassportRevoked))]
[JsonSerializable(typeof(PassportChainOrder))]
[JsonSerializable(typeof(CertificateOrder))]
[JsonSerializable(typeof(IssuedCertificate))]
[JsonSerializable(typeof(RevocationOrder))]
[JsonSerializable(typeof(RevokedCertificates))]
[JsonSerializable(typeof(RevocationState))]
[JsonSerializable(typeof(TokenOrder))]
[JsonSerializable(typeof(TokenCheck))]
[JsonSerializable(typeof(AuthorizationOrder))]
[JsonSerializable(typeof(Authorization))]
[JsonSerializable(typeof(CapabilitySwarmOrder))]
[JsonSerializable(typeof(CapabilitySwarm))]
[JsonSerializable(typeof(CapabilityMemberOrder))]
[JsonSerializable(typeof(CapabilityMemberAdded))]
[JsonSerializable(typeof(CapabilityMembers))]
[JsonSerializable(typeof(CapabilityChainOrder))]
[JsonSerializable(typeof(CapabilityMemberName))]
[JsonSerializable(typeof(CapabilitySwarmName))]
[JsonSerializable(typeof(CapabilityHeartbeat))]
[JsonSerializable(typeof(Problem))]
internal sealed partial class HubJson : JsonSerializerContext
{
    /// <summary>Text is sent as it is, not as <c>\uXXXX</c>: six bytes for two would make large messages too large.</summary>
    public static HubJson Wire => Unescaped.Context;

    private static class Unescaped
    {
        public static readonly HubJson Context =
            new(new JsonSerializerOptions(Default.Options) { Encoder = new PlainJsonEncoder() });
    }
}

/// <summary>RFC 9457 problem details, as far as they are used; or an error of A1's routes.</summary>
internal sealed record Problem(string? Type, string? Title, string? Detail, string? Error, string? ErrorCode, string? DetailCode);

/// <summary>RFC 3339 in UTC with milliseconds; reads any offset and precision.</summary>
public sealed class Rfc3339Converter : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        DateTimeOffset.TryParse(
            reader.GetString() ?? "", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
            out var time)
            ? time
            : throw new JsonException("Not a time.");

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
        writer.WriteStringValue(SwarmTime.Format(value));
}
