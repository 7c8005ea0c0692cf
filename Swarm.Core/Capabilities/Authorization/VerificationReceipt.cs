using System.Text.Json;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>What was verified (A1 §11.1).</summary>
/// <param name="ChainDepth">Certificates of the chain.</param>
/// <param name="VerifiedScopeRoot">The last certificate's scope.</param>
/// <param name="Intent">The hash of what was asked for.</param>
/// <param name="VerifiedAtUnix">When, in Unix seconds.</param>
/// <param name="ChainFingerprint">Which chain.</param>
/// <param name="Namespace">The chain's namespace; null for every chain that came over the wire.</param>
public sealed record VerificationReceipt(
    ulong ChainDepth, Bytes32 VerifiedScopeRoot, Bytes32 Intent, ulong VerifiedAtUnix, Bytes32 ChainFingerprint, string? Namespace)
{
    private static readonly byte[][] Members = WireValues.Names(
        "chain_depth", "verified_scope_root", "intent", "verified_at_unix", "chain_fingerprint", "namespace");

    /// <summary>Reads a receipt whose hashes are arrays or hex text.</summary>
    /// <exception cref="ShapeException">It is none.</exception>
    public static VerificationReceipt Read(ref Utf8JsonReader reader)
    {
        ulong depth = 0, at = 0;
        Bytes32 root = default, intent = default, fingerprint = default;
        string? @namespace = null;
        MemberReader.Open(ref reader, "receipt");
        var members = new MemberReader(Members, optional: 1u << 5);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    depth = WireValues.ReadNumber(ref reader, "chain_depth");
                    break;
                case 1:
                    root = WireValues.ReadBytes32(ref reader, "verified_scope_root");
                    break;
                case 2:
                    intent = WireValues.ReadBytes32(ref reader, "intent");
                    break;
                case 3:
                    at = WireValues.ReadNumber(ref reader, "verified_at_unix");
                    break;
                case 4:
                    fingerprint = WireValues.ReadBytes32(ref reader, "chain_fingerprint");
                    break;
                default:
                    @namespace = reader.TokenType == JsonTokenType.Null ? null : WireValues.ReadText(ref reader, "namespace");
                    break;
            }
        }

        return new(depth, root, intent, at, fingerprint, @namespace);
    }

    /// <summary>Writes the receipt with its hashes as hex text, or as A1 itself does, as arrays of integers.</summary>
    public void Write(Utf8JsonWriter json, bool asArrays)
    {
        json.WriteStartObject();
        json.WriteNumber("chain_depth"u8, ChainDepth);
        WriteHash("verified_scope_root"u8, VerifiedScopeRoot);
        WriteHash("intent"u8, Intent);
        json.WriteNumber("verified_at_unix"u8, VerifiedAtUnix);
        WriteHash("chain_fingerprint"u8, ChainFingerprint);
        if (Namespace is not null)
        {
            json.WriteString("namespace"u8, Namespace);
        }

        json.WriteEndObject();

        void WriteHash(ReadOnlySpan<byte> name, Bytes32 hash)
        {
            if (asArrays)
            {
                WireValues.WriteBytes(json, name, hash.AsSpan());
            }
            else
            {
                json.WriteString(name, hash.ToString());
            }
        }
    }
}

/// <summary>
/// The <c>receipt</c> of a gateway's answer (A1 §11.1). Its passport members repeat what the last certificate's signer wrote into the extensions.
/// </summary>
public sealed record GatewayReceipt(
    ulong ChainDepth, string FingerprintHex, ulong VerifiedAtUnix, string PassportNamespace, string CapabilityMaskHex, string NarrowingCommitmentHex)
{
    private static readonly string EmptyMask = default(NarrowingMask).ToString();
    private static readonly string EmptyCommitment = default(NarrowingMask).Commitment().ToString();

    public static GatewayReceipt Of(VerificationReceipt receipt, CertificateExtensions last)
    {
        var mask = last.Mask;
        return new(
            receipt.ChainDepth, receipt.ChainFingerprint.ToString(), receipt.VerifiedAtUnix, last.Namespace ?? "", mask ?? EmptyMask,
            NarrowingMask.TryParse(mask, out var bits) ? bits.Commitment().ToString() : EmptyCommitment);
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteNumber("chain_depth"u8, ChainDepth);
        json.WriteString("fingerprint_hex"u8, FingerprintHex);
        json.WriteNumber("verified_at_unix"u8, VerifiedAtUnix);
        json.WriteString("passport_namespace"u8, PassportNamespace);
        json.WriteString("capability_mask_hex"u8, CapabilityMaskHex);
        json.WriteString("narrowing_commitment_hex"u8, NarrowingCommitmentHex);
        json.WriteEndObject();
    }
}
