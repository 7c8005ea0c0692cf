using System.Text.Json;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Json;

/// <summary>A chain's JSON (A1 §8.1), under the rules of <see cref="CertificateJson"/>.</summary>
public static class ChainJson
{
    private static readonly byte[][] Members = WireValues.Names("version", "principal_pk", "principal_scope", "certs");

    /// <summary>
    /// Reads a chain. A wrong version or a wrong hex text of the two outer members is no wrong shape, it becomes <see cref="SignedChain.Fault"/>.
    /// </summary>
    public static SignedChain Read(ref Utf8JsonReader reader, PublicKeys keys)
    {
        uint version = 0;
        Bytes32 principal = default, scope = default;
        Denial? principalFault = null, scopeFault = null;
        var certificates = new List<DelegationCertificate>();
        MemberReader.Open(ref reader, "chain");
        var members = new MemberReader(Members);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    version = (uint)WireValues.ReadNumber(ref reader, "version", uint.MaxValue);
                    break;
                case 1:
                    principal = ReadOuter(ref reader, "principal_pk", out principalFault);
                    break;
                case 2:
                    scope = ReadOuter(ref reader, "principal_scope", out scopeFault);
                    break;
                default:
                    ReadCertificates(ref reader, keys, certificates);
                    break;
            }
        }

        principalFault ??= keys.IsPoint(principal.AsSpan()) ? null : Denial.WireFormat("invalid principal_pk: the bytes are no Ed25519 public key");
        return new()
        {
            Principal = principal,
            PrincipalScope = scope,
            Certificates = certificates,
            Fault = version == SignedChain.SupportedVersion ? principalFault ?? scopeFault : Denial.UnsupportedVersion(version),
        };
    }

    /// <summary>Writes the chain; its namespace stays here.</summary>
    public static void Write(Utf8JsonWriter json, SignedChain chain)
    {
        json.WriteStartObject();
        WriteMembers(json, chain);
        json.WriteEndObject();
    }

    /// <summary>The four members alone, for an answer that has more (A1 §20, member chain).</summary>
    public static void WriteMembers(Utf8JsonWriter json, SignedChain chain)
    {
        json.WriteNumber("version"u8, SignedChain.SupportedVersion);
        json.WriteString("principal_pk"u8, chain.Principal.ToString());
        json.WriteString("principal_scope"u8, chain.PrincipalScope.ToString());
        json.WriteStartArray("certs"u8);
        foreach (var certificate in chain.Certificates)
        {
            CertificateJson.Write(json, certificate);
        }

        json.WriteEndArray();
    }

    private static void ReadCertificates(ref Utf8JsonReader reader, PublicKeys keys, List<DelegationCertificate> certificates)
    {
        WireValues.OpenArray(ref reader, "certs");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (certificates.Count == SignedChain.CertificatesReadMax)
            {
                throw new ShapeException($"certs: at most {SignedChain.CertificatesReadMax}");
            }

            try
            {
                certificates.Add(CertificateJson.Read(ref reader, keys));
            }
            catch (ShapeException wrong)
            {
                throw new ShapeException($"certs[{certificates.Count}].{wrong.Message}");
            }
        }
    }

    private static Bytes32 ReadOuter(ref Utf8JsonReader reader, string what, out Denial? fault)
    {
        fault = null;
        if (reader.TokenType != JsonTokenType.String)
        {
            return WireValues.ReadBytes32(ref reader, what);
        }

        var text = WireValues.ReadText(ref reader, what);
        if (Bytes32.TryParse(text, out var value))
        {
            return value;
        }

        fault = Denial.WireFormat(HexText.IsHex(text) ? $"{what} must be 32 bytes" : $"{what}: the text is not hex");
        return default;
    }
}
