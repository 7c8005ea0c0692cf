using System.Buffers;
using System.Diagnostics;
using System.Text.Json;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>One attempt to authorize, as the audit keeps it: a JSON object on a line of its own (A1 §19). Keys in it are public ones.</summary>
/// <param name="At">When it came in.</param>
/// <param name="Chain">What was presented.</param>
/// <param name="ExecutorHex">Who wanted to act, as the request said it; null where that was no key.</param>
/// <param name="Intent">The hash of what it wanted; of a batch the first one's. Null where the intent was malformed.</param>
/// <param name="RequestId">The caller's own.</param>
/// <param name="BatchSize">Of a batch; else null.</param>
internal sealed record AuthorizationEvent(
    DateTimeOffset At, SignedChain Chain, string? ExecutorHex, Bytes32? Intent, string? RequestId, int? BatchSize = null)
{
    private readonly Guid _id = Guid.CreateVersion7(At);
    private readonly ActivityTraceId? _trace = Activity.Current?.TraceId;
    private readonly ActivitySpanId? _span = Activity.Current?.SpanId;

    /// <param name="output">Gets the line.</param>
    /// <param name="denial">Why it was refused; null when it was not.</param>
    /// <param name="receipt">Of what was authorized.</param>
    /// <param name="items">The outcomes of a batch.</param>
    public void Write(IBufferWriter<byte> output, Denial? denial, VerificationReceipt? receipt, IReadOnlyList<Denial?>? items = null)
    {
        using (var json = new Utf8JsonWriter(output))
        {
            json.WriteStartObject();
            json.WriteString("event_id"u8, _id);
            json.WriteNumber("timestamp_unix"u8, At.ToUnixTimeSeconds());
            json.WriteString("outcome"u8, OutcomeOf(denial));
            json.WriteString("principal_pk_hex"u8, Chain.Principal.ToString());
            json.WriteString("executor_pk_hex"u8, ExecutorHex);
            json.WriteNumber("chain_depth"u8, Chain.Certificates.Count);
            json.WriteString("intent_hex"u8, Intent?.ToString());
            WriteWhenThere(json, "chain_fingerprint"u8, receipt?.ChainFingerprint.ToString());
            WriteWhenThere(json, "error_message"u8, denial?.Text);
            WriteWhenThere(json, "request_id"u8, RequestId);
            WriteWhenThere(json, "trace_id"u8, _trace?.ToHexString());
            WriteWhenThere(json, "span_id"u8, _span?.ToHexString());
            if (BatchSize is { } size)
            {
                json.WriteNumber("batch_size"u8, size);
                json.WriteStartArray("batch_outcomes"u8);
                foreach (var item in items ?? [])
                {
                    json.WriteStringValue(OutcomeOf(item));
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    private static string OutcomeOf(Denial? denial) => denial switch
    {
        null => "AUTHORIZED",
        { Kind: DenialKind.PolicyViolation } or { Cause.Kind: DenialKind.PolicyViolation } => "POLICY_VIOLATION",
        { IsTransient: true } => "STORAGE_ERROR",
        _ => "DENIED",
    };

    private static void WriteWhenThere(Utf8JsonWriter json, ReadOnlySpan<byte> name, string? text)
    {
        if (text is not null)
        {
            json.WriteString(name, text);
        }
    }
}
