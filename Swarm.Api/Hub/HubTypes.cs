using System.Text.Json;
using System.Text.Json.Serialization;
using Swarm.Core.Delivery.Wake;

namespace Swarm.Api.Hub;

// The wire types of the Hub API; snake_case on the wire. Requests are lenient in what they miss (null) and checked by the handlers.

public sealed record AgentRequest(
    string? Name, string? Kind, string? Endpoint, string? PublicKey, string? PrivateKey, string? DisplayName, string? Description, bool? Default);

public sealed record AgentBody(
    string Name, string Kind, string Endpoint, string PublicKey, string? DisplayName, string? Description, bool Default, DateTimeOffset CreatedAt,
    DateTimeOffset? RevokedAt, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Token = null)
{
    /// <summary>When it last had a stream open, leased or sent; null when that is not known.</summary>
    public DateTimeOffset? LastSeen { get; init; }

    public bool Online { get; init; }
}

public sealed record PingRequest(string? Agent, string? Target);

/// <param name="Status"><c>online</c> or <c>offline</c> (local), <c>ok</c> or <c>failed</c> (remote).</param>
public sealed record PingBody(string Target, string Kind, string Status, DateTimeOffset? LastSeen, int? HttpStatus, double LatencyMs, string Detail);

public sealed record AgentList(IReadOnlyList<AgentBody> Agents, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

public sealed record TokenRequest(string? Label);

public sealed record TokenBody(long Id, string? Label, string Token, DateTimeOffset CreatedAt);

public sealed record TokenInfo(long Id, string? Label, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? RevokedAt);

public sealed record TokenList(IReadOnlyList<TokenInfo> Tokens);

public sealed record EnrolmentRequest(int? ExpiresInHours);

public sealed record EnrolmentBody(string EnrolmentToken, DateTimeOffset ExpiresAt);

public sealed record EnrolRequest(string? EnrolmentToken, string? Name, string? PublicKey, string? Proof, string? Endpoint);

public sealed record SwarmRequest(string? Agent, string? Name, bool? AllowMemberInvite, bool? RequireApproval, string? SwarmId);

public sealed record SettingsBody(bool AllowMemberInvite, bool RequireApproval);

public sealed record MemberBody(string AgentId, string Endpoint, string PublicKey, DateTimeOffset JoinedAt)
{
    public DateTimeOffset? LastSeen { get; init; }

    public bool Online { get; init; }

    /// <summary>When the key was last confirmed or rotated; null: not since the join.</summary>
    public DateTimeOffset? KeyConfirmedAt { get; init; }
}

public sealed record SwarmBody(
    string SwarmId, string Name, string Master, SettingsBody Settings, int MemberCount, DateTimeOffset? JoinedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<MemberBody>? Members = null);

public sealed record SwarmList(IReadOnlyList<SwarmBody> Swarms, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

public sealed record MemberList(IReadOnlyList<MemberBody> Members);

public sealed record InviteRequest(string? Agent, double? ExpiresInHours, int? MaxUses);

public sealed record InviteBody(string InviteToken, string TokenHash, DateTimeOffset? ExpiresAt, int? MaxUses);

public sealed record JoinRequest(string? Agent, string? InviteToken);

public sealed record JoinBody(string Status, string SwarmId, string Name, string Master, int MemberCount);

public sealed record LeaveRequest(string? Agent);

public sealed record LeaveBody(string Status, string SwarmId, string Name);

public sealed record KickRequest(string? Agent, string? Target, string? Reason);

public sealed record KickBody(string Status, string SwarmId, string AgentId);

public sealed record SendRequest
{
    public string? From { get; init; }

    public string? SwarmId { get; init; }

    public string? To { get; init; }

    public string? Type { get; init; }

    public string? Content { get; init; }

    public string? Priority { get; init; }

    public string? InReplyTo { get; init; }

    public string? ThreadId { get; init; }

    public string? ExpiresAt { get; init; }

    public string? DeliverAt { get; init; }

    public JsonElement? Attachments { get; init; }

    public JsonElement? References { get; init; }

    public JsonElement? Metadata { get; init; }

    public string? MessageId { get; init; }

    public string? Timestamp { get; init; }

    public string? Signature { get; init; }
}

public sealed record SendBody(string Status, string MessageId, string SwarmId, string Recipient, int Recipients);

public sealed record BatchRequest(IReadOnlyList<SendRequest>? Messages);

public sealed record BatchError(string Id, string Message);

public sealed record BatchItem(
    string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? MessageId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] BatchError? Error);

public sealed record BatchBody(IReadOnlyList<BatchItem> Results);

/// <summary>An inbox item; optional members are left out when the message has none.</summary>
public sealed record MessageBody(
    long Seq, string MessageId, string SwarmId, string Sender, string Recipient, string Type, string Priority, string Content, string Timestamp,
    DateTimeOffset AcceptedAt, string State, bool Verified)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? InReplyTo { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ThreadId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ExpiresAt { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Attachments { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? References { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public JsonElement? Metadata { get; init; }

    /// <summary>In lists of read messages.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? ReadAt { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Archived { get; init; }
}

public sealed record MessageList(IReadOnlyList<MessageBody> Messages, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

/// <summary>A reference of a known kind, as on the wire (ASP §3).</summary>
public sealed record ReferenceBody(
    string Type,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Repo,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Number,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Sha,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Url);

/// <param name="State"><c>assigned</c>, <c>claimed</c>, <c>blocked</c> or <c>completed</c>.</param>
/// <param name="Agent">Whose claim it is.</param>
/// <param name="BlockedOn">When blocked: what else the message refers to.</param>
public sealed record ClaimBody(
    Guid? SwarmId, ReferenceBody Item, string Agent, string State, string Sender, Guid MessageId, DateTimeOffset At,
    IReadOnlyList<ReferenceBody> BlockedOn, string Note);

public sealed record BoardBody(
    IReadOnlyList<ClaimBody> Claims, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

public sealed record SeqsRequest(long[]? Seqs);

public sealed record UpdatedBody(int Updated);

public sealed record CountsBody(long Unread, long Read, long Total);

public sealed record LeaseRequest(int? Max, int? LeaseSeconds, int? WaitSeconds);

public sealed record LeaseBody(Guid LeaseId, DateTimeOffset ExpiresAt, IReadOnlyList<MessageBody> Messages);

public sealed record SettleRequest(Guid? LeaseId, long[]? Seqs, double? DelaySeconds);

public sealed record ExtendRequest(Guid? LeaseId, int? LeaseSeconds);

public sealed record ExtendBody(DateTimeOffset ExpiresAt);

public sealed record MuteRequest(string? AgentId, string? SwarmId, string? Reason);

public sealed record MuteBody(
    string Status, string Type, string Id, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? WasMuted);

public sealed record MutedAgentBody(string AgentId, DateTimeOffset MutedAt, string? Reason);

public sealed record MutedSwarmBody(string SwarmId, DateTimeOffset MutedAt, string? Reason);

public sealed record MuteList(IReadOnlyList<MutedAgentBody> Agents, IReadOnlyList<MutedSwarmBody> Swarms);

public sealed record WakeRequest(
    WakePreferences? Preferences, string? Action, string? Url, string? Secret);

/// <summary>How an agent is woken; a secret is only shown when it has just been made.</summary>
public sealed record WakeBody(
    string Agent, WakePreferences Preferences, string Action, string? Url, bool HasSecret, DateTimeOffset? LastAt, string? LastResult,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Secret = null);

public sealed record SentBody(
    string MessageId, string SwarmId, string Recipient, string Type, string Content, DateTimeOffset AcceptedAt,
    IReadOnlyDictionary<string, int> Recipients, IReadOnlyList<SentRecipient> Deliveries)
{
    /// <summary><c>sent</c>, <c>delivered</c> (by all) or <c>failed</c> (for one at least).</summary>
    public required string Status { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Error { get; init; }
}

public sealed record SentCountsBody(long Sent, long Delivered, long Failed, long Total);

/// <summary>An inbox by the statuses of a mail program (ASP §9.1); <paramref name="Total"/> includes the deleted.</summary>
public sealed record MailCountsBody(long Unread, long Read, long Archived, long Deleted, long Total);

public sealed record MailChangeBody(string Status, string MessageId);

public sealed record ArchiveRequest(string? SwarmId);

/// <summary>When not done, the same call goes on.</summary>
public sealed record ArchivedBody(int Updated, bool Done);

public sealed record PurgeRequest(bool? Messages, bool? IncludeArchived, double? RetentionHours, bool? Sessions, double? TimeoutMinutes);

/// <summary>How much of what was asked for is gone; null for what was not.</summary>
public sealed record PurgedBody(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Messages,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Archived,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Sessions);

public sealed record ImportedBody(
    string SchemaVersion, int Swarms, int PublicKeys, int MutedAgents, int MutedSwarms, int Inbox, int Outbox, IReadOnlyList<string> Skipped);

/// <summary>One of the first recipients of a sent message.</summary>
public sealed record SentRecipient(
    string Recipient, string State, int Attempts, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Error);

public sealed record AttemptBody(int Attempt, DateTimeOffset At, string Error);

public sealed record TraceRecipient(
    string Recipient, long Seq, string State, int Attempts, string? Error, DateTimeOffset? DueAt, DateTimeOffset? ReadAt,
    IReadOnlyList<AttemptBody> Tries);

/// <summary>The life of a message. <paramref name="Remaining"/> counts recipients whose deliveries are still to be made.</summary>
public sealed record TraceBody(
    string MessageId, string? SwarmId, string Sender, bool Verified, DateTimeOffset SentAt, DateTimeOffset AcceptedAt, DateTimeOffset? ExpiresAt,
    int Remaining, string? Trace, IReadOnlyList<TraceRecipient> Recipients,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

public sealed record TraceList(IReadOnlyList<TraceBody> Messages);

/// <summary>A dead letter; the message itself only where one is asked for.</summary>
public sealed record DeadLetterBody(
    string Id, string MessageId, string? SwarmId, string Sender, string Recipient, int Attempts, DateTimeOffset DiedAt, string Reason)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Type { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Timestamp { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Content { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<AttemptBody>? Tries { get; init; }
}

public sealed record DeadLetterList(
    IReadOnlyList<DeadLetterBody> DeadLetters, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

public sealed record DeadLetterSelection(string? Recipient, string? Sender, string? SwarmId, string? Reason, string? From, string? Until);

public sealed record DeadLetterRequest(IReadOnlyList<string?>? Ids, DeadLetterSelection? Filter);

/// <summary>When not done, the same call with <paramref name="Until"/> in the filter goes on.</summary>
public sealed record DeadLetterChangeBody(
    int Changed, bool Done, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Until);

public sealed record SentList(IReadOnlyList<SentBody> Messages, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? NextCursor);

public sealed record StatusBody(
    Guid NodeId, string Version, DateTimeOffset StartedAt, string Signals, long Agents, long Swarms, long Messages);

public sealed record StatsBody(
    long Accepted, long Duplicates, IReadOnlyDictionary<string, long> Refused, IReadOnlyDictionary<string, long> Deliveries, long Agents, long Swarms,
    long Messages, double? OldestPendingSeconds);

public sealed record ResetBody(long OldestSeq);

public sealed record BackupBody(string Path, long Bytes, int Tables, long Rows);

/// <summary>A document of A1's, explained.</summary>
/// <param name="Kind"><c>certificate</c>, <c>chain</c>, <c>passport</c> or <c>token</c>.</param>
/// <param name="Fingerprint">The chain's, or its own.</param>
/// <param name="Namespace">As the last certificate's signer calls it.</param>
/// <param name="Principal">Of a chain alone.</param>
/// <param name="Hops">The principal's first.</param>
/// <param name="Token">Of a token alone.</param>
/// <param name="Refusal">Why it is of no use now; null when nothing speaks against it.</param>
public sealed record InspectionBody(
    string Kind, string Fingerprint, string? Namespace, PrincipalBody? Principal, IReadOnlyList<HopBody> Hops, ReceiptBody? Token, DenialBody? Refusal);

/// <param name="Capabilities">By name; null when only the scope's hash is known.</param>
public sealed record PrincipalBody(string Did, IReadOnlyList<string>? Capabilities, string ScopeRoot);

/// <param name="Capabilities">By name; null when only the scope's hash is known.</param>
/// <param name="ExpiresAt">Null for never, as nobody can write it.</param>
/// <param name="MaxDepth">How long a chain with it may be in all.</param>
/// <param name="Used">Its nonce was consumed: no chain with it is authorized again.</param>
public sealed record HopBody(
    string From, string To, IReadOnlyList<string>? Capabilities, string ScopeRoot, DateTimeOffset? IssuedAt, DateTimeOffset? ExpiresAt, int MaxDepth,
    int Version, string Nonce, string Fingerprint, bool SignatureValid, bool Revoked, bool Used, JsonElement Extensions);

public sealed record ReceiptBody(ulong ChainDepth, string Intent, string VerifiedScopeRoot, DateTimeOffset? VerifiedAt);

/// <summary>A1's own words and codes (A1 §9).</summary>
public sealed record DenialBody(string Error, string ErrorCode, string DetailCode);

/// <summary>An error (RFC 9457); <paramref name="Type"/> is <c>urn:swarm:error:</c> and the id of the catalogue.</summary>
public sealed record ProblemBody(string Type, string Title, int Status, string Detail);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, AllowDuplicateProperties = false,
    Converters = [
        typeof(MillisecondTime), typeof(Words<WakeLevel>), typeof(Words<WakeCondition>), typeof(Words<WakeAddressing>),
        typeof(Words<Core.Messaging.MessageKind>), typeof(Words<Core.Messaging.Priority>)])]
[JsonSerializable(typeof(AgentRequest))]
[JsonSerializable(typeof(AgentBody))]
[JsonSerializable(typeof(AgentList))]
[JsonSerializable(typeof(PingRequest))]
[JsonSerializable(typeof(PingBody))]
[JsonSerializable(typeof(TokenRequest))]
[JsonSerializable(typeof(TokenBody))]
[JsonSerializable(typeof(TokenList))]
[JsonSerializable(typeof(EnrolmentRequest))]
[JsonSerializable(typeof(EnrolmentBody))]
[JsonSerializable(typeof(EnrolRequest))]
[JsonSerializable(typeof(SwarmRequest))]
[JsonSerializable(typeof(SwarmBody))]
[JsonSerializable(typeof(SwarmList))]
[JsonSerializable(typeof(MemberList))]
[JsonSerializable(typeof(InviteRequest))]
[JsonSerializable(typeof(InviteBody))]
[JsonSerializable(typeof(JoinRequest))]
[JsonSerializable(typeof(JoinBody))]
[JsonSerializable(typeof(AgreeRequest))]
[JsonSerializable(typeof(AgreeBody))]
[JsonSerializable(typeof(LeaveRequest))]
[JsonSerializable(typeof(LeaveBody))]
[JsonSerializable(typeof(KickRequest))]
[JsonSerializable(typeof(KickBody))]
[JsonSerializable(typeof(DecideRequest))]
[JsonSerializable(typeof(PendingList))]
[JsonSerializable(typeof(DecidedBody))]
[JsonSerializable(typeof(TransferRequest))]
[JsonSerializable(typeof(TransferBody))]
[JsonSerializable(typeof(DissolveRequest))]
[JsonSerializable(typeof(DissolveBody))]
[JsonSerializable(typeof(EndpointRequest))]
[JsonSerializable(typeof(AgentKeyBody))]
[JsonSerializable(typeof(SendRequest))]
[JsonSerializable(typeof(SendBody))]
[JsonSerializable(typeof(BatchRequest))]
[JsonSerializable(typeof(BatchBody))]
[JsonSerializable(typeof(MessageBody))]
[JsonSerializable(typeof(MessageList))]
[JsonSerializable(typeof(BoardBody))]
[JsonSerializable(typeof(SeqsRequest))]
[JsonSerializable(typeof(UpdatedBody))]
[JsonSerializable(typeof(CountsBody))]
[JsonSerializable(typeof(SentCountsBody))]
[JsonSerializable(typeof(MailCountsBody))]
[JsonSerializable(typeof(MailChangeBody))]
[JsonSerializable(typeof(ArchiveRequest))]
[JsonSerializable(typeof(ArchivedBody))]
[JsonSerializable(typeof(PurgeRequest))]
[JsonSerializable(typeof(PurgedBody))]
[JsonSerializable(typeof(ImportedBody))]
[JsonSerializable(typeof(LeaseRequest))]
[JsonSerializable(typeof(LeaseBody))]
[JsonSerializable(typeof(SettleRequest))]
[JsonSerializable(typeof(ExtendRequest))]
[JsonSerializable(typeof(ExtendBody))]
[JsonSerializable(typeof(MuteRequest))]
[JsonSerializable(typeof(MuteBody))]
[JsonSerializable(typeof(MuteList))]
[JsonSerializable(typeof(WakeRequest))]
[JsonSerializable(typeof(WakeBody))]
[JsonSerializable(typeof(SentList))]
[JsonSerializable(typeof(TraceList))]
[JsonSerializable(typeof(DeadLetterList))]
[JsonSerializable(typeof(DeadLetterBody))]
[JsonSerializable(typeof(DeadLetterRequest))]
[JsonSerializable(typeof(DeadLetterChangeBody))]
[JsonSerializable(typeof(DemandsRequest))]
[JsonSerializable(typeof(GrantRequest))]
[JsonSerializable(typeof(NewGrantBody))]
[JsonSerializable(typeof(GrantList))]
[JsonSerializable(typeof(StatusBody))]
[JsonSerializable(typeof(StatsBody))]
[JsonSerializable(typeof(ResetBody))]
[JsonSerializable(typeof(BackupBody))]
[JsonSerializable(typeof(InspectionBody))]
[JsonSerializable(typeof(ProblemBody))]
internal sealed partial class HubJson : JsonSerializerContext;

/// <summary>Times in UTC with milliseconds, like on every wire of the product.</summary>
internal sealed class MillisecondTime : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDateTimeOffset();

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture));
}
