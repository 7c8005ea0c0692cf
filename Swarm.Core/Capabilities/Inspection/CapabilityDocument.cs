using System.Text.Json;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Inspection;

public enum CapabilityDocumentKind
{
    Certificate,
    Chain,
    Passport,
    Token,
}

/// <summary>What A1 keeps in a file: exactly the member of its <see cref="Kind"/> is set. Nothing in it is true yet.</summary>
public sealed record CapabilityDocument
{
    private static readonly byte[][] Marks = WireValues.Names("a1_passport", "certs", "delegate_pk", "mac", "chain", "cert", "token");

    private const int ChainMark = 1;
    private const int CertificateMark = 2;
    private const int TokenMark = 3;
    private const int FirstWrapper = 4;

    public required CapabilityDocumentKind Kind { get; init; }

    public DelegationCertificate? Certificate { get; private init; }

    public SignedChain? Chain { get; private init; }

    public Passport? Passport { get; private init; }

    public VerifiedToken? Token { get; private init; }

    /// <summary>
    /// Reads a certificate (A1 §7), a chain (§8), a passport's file (§12) or a token (§11.2), told from each other by their members; also a gateway's
    /// answer that holds one as <c>cert</c>, <c>chain</c> or <c>token</c>.
    /// </summary>
    /// <exception cref="ShapeException">It is none of them.</exception>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static CapabilityDocument Read(ReadOnlySpan<byte> json, PublicKeys keys)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        var start = reader;
        reader.Skip();
        while (reader.Read())
        {
            // What follows the value is no JSON, which the reader says.
        }

        return Tell(start, keys, mayBeWrapped: true);
    }

    private static CapabilityDocument Tell(Utf8JsonReader start, PublicKeys keys, bool mayBeWrapped)
    {
        var reader = start;
        Utf8JsonReader wrapped = default;
        var (first, isWrapper) = (-1, false);
        MemberReader.Open(ref reader, "document");
        var members = new MemberReader(Marks, optional: uint.MaxValue);
        while (members.Next(ref reader, out var member))
        {
            if (member < FirstWrapper)
            {
                first = first < 0 ? member : Math.Min(first, member);
            }
            else
            {
                wrapped = reader;
                isWrapper = true;
            }

            reader.Skip();
        }

        return first switch
        {
            0 => new() { Kind = CapabilityDocumentKind.Passport, Passport = Passport.Read(ref start, keys) },
            ChainMark => new() { Kind = CapabilityDocumentKind.Chain, Chain = ChainJson.Read(ref start, keys) },
            CertificateMark => new() { Kind = CapabilityDocumentKind.Certificate, Certificate = CertificateJson.Read(ref start, keys) },
            TokenMark => new() { Kind = CapabilityDocumentKind.Token, Token = VerifiedToken.Read(ref start) },
            _ when isWrapper && mayBeWrapped => Tell(wrapped, keys, mayBeWrapped: false),
            _ => throw new ShapeException("document: a certificate, a chain, a passport or a token is needed"),
        };
    }
}
