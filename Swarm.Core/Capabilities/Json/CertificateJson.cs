using System.Runtime.InteropServices;
using System.Text.Json;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Json;

/// <summary>
/// A certificate's JSON (A1 §7.1). Readers stand at the value's first token before and at its last one after; what is wrong with the JSON itself is a
/// <see cref="JsonException"/>, what is wrong with its shape a <see cref="ShapeException"/>.
/// </summary>
public static class CertificateJson
{
    private static readonly byte[][] Members = WireValues.Names(
        "version", "delegator_pk", "delegate_pk", "scope_root", "scope_proof", "nonce", "issued_at", "expiration_unix", "max_depth", "extensions", "signature");

    private static readonly byte[][] ScopeProofMembers = WireValues.Names("subset_intents", "proofs");
    private static readonly byte[][] ProofMembers = WireValues.Names("siblings");
    private static readonly byte[][] SiblingMembers = WireValues.Names("hash", "is_left");
    private static readonly byte[][] ExtensionsMembers = WireValues.Names("fields");

    private const int ExtensionsMember = 9;

    /// <summary>Reads a certificate whose two keys are points of the curve. Its signature is not looked at.</summary>
    public static DelegationCertificate Read(ref Utf8JsonReader reader, PublicKeys keys)
    {
        byte version = 0, maxDepth = 0;
        Bytes32 delegator = default, @delegate = default, scopeRoot = default;
        Nonce nonce = default;
        Signature signature = default;
        ulong issuedAt = 0, expiresAt = 0;
        var scopeProof = SubScopeProof.PassThrough;
        var extensions = CertificateExtensions.Empty;

        MemberReader.Open(ref reader, "certificate");
        var members = new MemberReader(Members, optional: 1u << ExtensionsMember);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    version = (byte)WireValues.ReadNumber(ref reader, "version", byte.MaxValue);
                    break;
                case 1:
                    delegator = ReadKey(ref reader, keys, "delegator_pk");
                    break;
                case 2:
                    @delegate = ReadKey(ref reader, keys, "delegate_pk");
                    break;
                case 3:
                    scopeRoot = WireValues.ReadBytes32(ref reader, "scope_root");
                    break;
                case 4:
                    scopeProof = ReadScopeProof(ref reader);
                    break;
                case 5:
                    WireValues.ReadBytes(ref reader, MemoryMarshal.AsBytes(new Span<Nonce>(ref nonce)), "nonce");
                    break;
                case 6:
                    issuedAt = WireValues.ReadNumber(ref reader, "issued_at");
                    break;
                case 7:
                    expiresAt = WireValues.ReadNumber(ref reader, "expiration_unix");
                    break;
                case 8:
                    maxDepth = (byte)WireValues.ReadNumber(ref reader, "max_depth", byte.MaxValue);
                    break;
                case ExtensionsMember:
                    extensions = ReadExtensions(ref reader);
                    break;
                default:
                    WireValues.ReadBytes(ref reader, MemoryMarshal.AsBytes(new Span<Signature>(ref signature)), "signature");
                    break;
            }
        }

        return new()
        {
            Version = version,
            Delegator = delegator,
            Delegate = @delegate,
            ScopeRoot = scopeRoot,
            ScopeProof = scopeProof,
            Nonce = nonce,
            IssuedAt = issuedAt,
            ExpiresAt = expiresAt,
            MaxDepth = maxDepth,
            Extensions = extensions,
            Signature = signature,
        };
    }

    /// <summary>Writes every member in A1's order, bytes as integers.</summary>
    public static void Write(Utf8JsonWriter json, DelegationCertificate certificate)
    {
        json.WriteStartObject();
        json.WriteNumber("version"u8, certificate.Version);
        WireValues.WriteBytes(json, "delegator_pk"u8, certificate.Delegator.AsSpan());
        WireValues.WriteBytes(json, "delegate_pk"u8, certificate.Delegate.AsSpan());
        WireValues.WriteBytes(json, "scope_root"u8, certificate.ScopeRoot.AsSpan());
        json.WritePropertyName("scope_proof"u8);
        WriteScopeProof(json, certificate.ScopeProof);
        WireValues.WriteBytes(json, "nonce"u8, certificate.Nonce.AsSpan());
        json.WriteNumber("issued_at"u8, certificate.IssuedAt);
        json.WriteNumber("expiration_unix"u8, certificate.ExpiresAt);
        json.WriteNumber("max_depth"u8, certificate.MaxDepth);
        json.WritePropertyName("extensions"u8);
        WriteExtensions(json, certificate.Extensions);
        WireValues.WriteBytes(json, "signature"u8, certificate.Signature.AsSpan());
        json.WriteEndObject();
    }

    /// <summary>A Merkle proof: <c>{"siblings":[{"hash":…,"is_left":…}]}</c>, also the <c>intent_proof</c> of a request (A1 §20).</summary>
    public static MerkleProof ReadProof(ref Utf8JsonReader reader)
    {
        var siblings = new List<Sibling>();
        MemberReader.Open(ref reader, "proof");
        var members = new MemberReader(ProofMembers);
        while (members.Next(ref reader, out _))
        {
            WireValues.OpenArray(ref reader, "siblings");
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if (siblings.Count == MerkleProof.SiblingsMax)
                {
                    throw new ShapeException($"siblings: at most {MerkleProof.SiblingsMax}");
                }

                siblings.Add(ReadSibling(ref reader));
            }
        }

        return siblings.Count == 0 ? MerkleProof.Empty : new(siblings);
    }

    public static void WriteProof(Utf8JsonWriter json, MerkleProof proof)
    {
        json.WriteStartObject();
        json.WriteStartArray("siblings"u8);
        foreach (var sibling in proof.Siblings)
        {
            json.WriteStartObject();
            WireValues.WriteBytes(json, "hash"u8, sibling.Hash.AsSpan());
            json.WriteBoolean("is_left"u8, sibling.IsLeft);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>A sub-scope proof (A1 §4).</summary>
    public static SubScopeProof ReadScopeProof(ref Utf8JsonReader reader)
    {
        var subset = new List<Bytes32>();
        var proofs = new List<MerkleProof>();
        MemberReader.Open(ref reader, "scope_proof");
        var members = new MemberReader(ScopeProofMembers);
        while (members.Next(ref reader, out var member))
        {
            var what = member == 0 ? "subset_intents" : "proofs";
            WireValues.OpenArray(ref reader, what);
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if ((member == 0 ? subset.Count : proofs.Count) == SubScopeProof.IntentsMax)
                {
                    throw new ShapeException($"{what}: at most {SubScopeProof.IntentsMax}");
                }

                if (member == 0)
                {
                    subset.Add(WireValues.ReadBytes32(ref reader, what));
                }
                else
                {
                    proofs.Add(ReadProof(ref reader));
                }
            }
        }

        return subset.Count == 0 && proofs.Count == 0 ? SubScopeProof.PassThrough : new(subset, proofs);
    }

    /// <summary>The extensions: <c>{"fields":{…}}</c>, or <c>{}</c> for none (A1 §6, §20). A repeated key is refused: it is signed text.</summary>
    public static CertificateExtensions ReadExtensions(ref Utf8JsonReader reader)
    {
        var extensions = CertificateExtensions.Empty;
        MemberReader.Open(ref reader, "extensions");
        var next = reader;
        if (next.Read() && next.TokenType == JsonTokenType.EndObject)
        {
            reader = next;
            return extensions;
        }

        var members = new MemberReader(ExtensionsMembers);
        while (members.Next(ref reader, out _))
        {
            extensions = ReadFields(ref reader);
        }

        return extensions;
    }

    private static CertificateExtensions ReadFields(ref Utf8JsonReader reader)
    {
        var fields = new List<KeyValuePair<string, ExtensionValue>>();
        MemberReader.Open(ref reader, "fields");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = ReadName(ref reader);
            reader.Read();
            fields.Add(new(key, reader.TokenType switch
            {
                JsonTokenType.String => WireValues.ReadText(ref reader, "fields"),
                JsonTokenType.Number => WireValues.ReadNumber(ref reader, "fields"),
                JsonTokenType.StartArray => ExtensionValue.Of(WireValues.ReadTexts(ref reader, "fields")),
                _ => throw new ShapeException("fields: a value is a text, a whole number from 0, or a list of texts"),
            }));
        }

        return CertificateExtensions.TrySort([.. fields], out var extensions) ? extensions : throw new ShapeException("fields: a key repeats");
    }

    public static void WriteExtensions(Utf8JsonWriter json, CertificateExtensions extensions)
    {
        json.WriteStartObject();
        json.WriteStartObject("fields"u8);
        foreach (var (key, value) in extensions.Fields)
        {
            if (value.Text is { } text)
            {
                json.WriteString(key, text);
            }
            else if (value.Number is { } number)
            {
                json.WriteNumber(key, number);
            }
            else
            {
                json.WriteStartArray(key);
                foreach (var item in value.List!)
                {
                    json.WriteStringValue(item);
                }

                json.WriteEndArray();
            }
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    public static void WriteScopeProof(Utf8JsonWriter json, SubScopeProof proof)
    {
        json.WriteStartObject();
        json.WriteStartArray("subset_intents"u8);
        foreach (var leaf in proof.Subset)
        {
            WireValues.WriteBytes(json, leaf.AsSpan());
        }

        json.WriteEndArray();
        json.WriteStartArray("proofs"u8);
        foreach (var each in proof.Proofs)
        {
            WriteProof(json, each);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static Sibling ReadSibling(ref Utf8JsonReader reader)
    {
        Bytes32 hash = default;
        var isLeft = false;
        MemberReader.Open(ref reader, "sibling");
        var members = new MemberReader(SiblingMembers);
        while (members.Next(ref reader, out var member))
        {
            if (member == 0)
            {
                hash = WireValues.ReadBytes32(ref reader, "hash");
            }
            else
            {
                isLeft = WireValues.ReadTruth(ref reader, "is_left");
            }
        }

        return new(hash, isLeft);
    }

    private static Bytes32 ReadKey(ref Utf8JsonReader reader, PublicKeys keys, string what)
    {
        var key = WireValues.ReadBytes32(ref reader, what);
        return keys.IsPoint(key.AsSpan()) ? key : throw new ShapeException($"{what}: the bytes are no Ed25519 public key");
    }

    private static string ReadName(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new ShapeException("fields: a key is not Unicode");
        }
    }
}
