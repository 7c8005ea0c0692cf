using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Certificates;

/// <summary>
/// What a holder may do and hand on (A1 §12): a namespace, capabilities by name, and a root certificate that the holder signed for itself. The root
/// certificate is in no chain; that it lives is asked beside the chain (<see cref="Authorization.TrustAnchor"/>).
/// </summary>
public sealed record Passport
{
    public const int FileVersion = 1;
    public const byte RootMaxDepth = 255;

    /// <summary>The most capabilities of a passport.</summary>
    public const int CapabilitiesMax = 4096;

    private const string Magic = "dyolo_v2.8.0";

    private static readonly byte[][] Members = WireValues.Names(
        "a1_passport", "namespace", "capability_mask_hex", "capabilities", "cert", "_magic");

    public required string Namespace { get; init; }

    /// <summary>In the issuer's order.</summary>
    public required IReadOnlyList<string> Capabilities { get; init; }

    public required NarrowingMask Mask { get; init; }

    public required DelegationCertificate Root { get; init; }

    /// <summary>Issues a passport to the key that signs it.</summary>
    /// <param name="now">Unix seconds.</param>
    /// <param name="ttlSeconds">At least 1; an expiry beyond the last second that can be written becomes that second.</param>
    /// <exception cref="DenialException">No capabilities or too many, a name that no intent may have, a life of 0 seconds, extensions too large.</exception>
    public static Passport Issue(string @namespace, IReadOnlyList<string> capabilities, Key holder, ulong now, ulong ttlSeconds, Nonce nonce)
    {
        if (capabilities.Count > CapabilitiesMax)
        {
            throw new DenialException(Denial.WireFormat($"Passport exceeds maximum capability count of {CapabilitiesMax}"));
        }

        var mask = NarrowingMaskOf(capabilities);
        var root = new DelegationCertificate
        {
            Delegate = Bytes32.Read(holder.PublicKey.Export(KeyBlobFormat.RawPublicKey)),
            ScopeRoot = IntentTree.Of(capabilities).Root,
            Nonce = nonce,
            IssuedAt = now,
            ExpiresAt = Expiry(now, ttlSeconds),
            MaxDepth = RootMaxDepth,
            Extensions = CertificateExtensions.OfPassport(@namespace, mask, capabilities),
        };
        return new() { Namespace = @namespace, Capabilities = capabilities, Mask = mask, Root = root.SignedBy(holder) };
    }

    /// <summary>
    /// A certificate for some of the passport's capabilities, with their proof. A1 neither caps its expiry nor compares the signer with the holder;
    /// here it ends with the passport.
    /// </summary>
    /// <exception cref="DenialException">
    /// <see cref="DenialKind.PassportNarrowingViolation"/> or <see cref="DenialKind.IntentNotFound"/>: not within the passport;
    /// <see cref="DenialKind.WireFormatError"/>: another key than the holder's, or a life of 0 seconds.
    /// </exception>
    public DelegationCertificate IssueSub(Bytes32 @delegate, IReadOnlyList<string> capabilities, Key holder, ulong now, ulong ttlSeconds, Nonce nonce)
    {
        if (Bytes32.Read(holder.PublicKey.Export(KeyBlobFormat.RawPublicKey)) != Root.Delegate)
        {
            throw new DenialException(Denial.WireFormat("the signing key is not the passport holder's"));
        }

        if (!NarrowingMaskOf(capabilities).IsWithin(Mask))
        {
            throw new DenialException(Denial.PassportNarrowingViolation);
        }

        return new Delegation
        {
            Delegate = @delegate,
            Parent = Capabilities,
            Capabilities = capabilities,
            Namespace = Namespace,
            IssuedAt = now,
            ExpiresAt = Math.Min(Expiry(now, ttlSeconds), Root.ExpiresAt),
            Nonce = nonce,
        }.SignedBy(holder);
    }

    /// <summary>The chain of certificates that the holder and its delegates issued; the root certificate is not in it.</summary>
    public SignedChain ChainOf(params IReadOnlyList<DelegationCertificate> certificates) => new()
    {
        Principal = Root.Delegate, PrincipalScope = Root.ScopeRoot, Certificates = certificates, Namespace = Namespace,
    };

    /// <summary>
    /// Everything that A1 does not look at when it loads a passport (A1 §16, W10): self-signed, the signature, mask and scope as the names give them,
    /// its time. Null when all of it is right.
    /// </summary>
    public Denial? Check(PublicKeys keys, ulong now, ulong toleranceSeconds)
    {
        if (Root.Version != DelegationCertificate.SupportedVersion)
        {
            return Denial.UnsupportedVersion(Root.Version);
        }

        if (Root.Delegator != Root.Delegate || !Root.ScopeProof.IsPassThrough)
        {
            return Denial.RootMismatch;
        }

        if (!Root.IsSigned(keys))
        {
            return Denial.InvalidSignature(0);
        }

        if (!IsOfItsNames())
        {
            return Denial.ScopeEscalation(0);
        }

        if (Root.IssuedAt > now && Root.IssuedAt - now > toleranceSeconds)
        {
            return Denial.NotYetValid(0, Root.IssuedAt, now);
        }

        return now > Root.ExpiresAt && now - Root.ExpiresAt > toleranceSeconds ? Denial.Expired(0, Root.ExpiresAt, now) : null;
    }

    /// <summary>Reads a passport's file (A1 §12). Nothing in it is true before <see cref="Check"/> says so.</summary>
    /// <exception cref="ShapeException">It is none.</exception>
    public static Passport Read(ref Utf8JsonReader reader, PublicKeys keys)
    {
        string @namespace = "";
        NarrowingMask mask = default;
        IReadOnlyList<string> capabilities = [];
        DelegationCertificate? root = null;
        MemberReader.Open(ref reader, "passport");
        var members = new MemberReader(Members, optional: 1u << 5);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    if (WireValues.ReadNumber(ref reader, "a1_passport") != FileVersion)
                    {
                        throw new ShapeException($"a1_passport: only version {FileVersion} is known");
                    }

                    break;
                case 1:
                    @namespace = WireValues.ReadText(ref reader, "namespace");
                    break;
                case 2:
                    mask = new(WireValues.ReadBytes32(ref reader, "capability_mask_hex"));
                    break;
                case 3:
                    capabilities = WireValues.ReadTexts(ref reader, "capabilities");
                    break;
                case 4:
                    root = CertificateJson.Read(ref reader, keys);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new() { Namespace = @namespace, Mask = mask, Capabilities = capabilities, Root = root! };
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteNumber("a1_passport"u8, FileVersion);
        json.WriteString("namespace"u8, Namespace);
        json.WriteString("capability_mask_hex"u8, Mask.ToString());
        WireValues.WriteTexts(json, "capabilities"u8, Capabilities);
        json.WritePropertyName("cert"u8);
        CertificateJson.Write(json, Root);
        json.WriteString("_magic"u8, Magic);
        json.WriteEndObject();
    }

    /// <summary>The mask, the scope, and the signed namespace and mask agree with the names beside them.</summary>
    private bool IsOfItsNames()
    {
        try
        {
            return Capabilities.Count <= CapabilitiesMax
                && NarrowingMaskOf(Capabilities) == Mask
                && IntentTree.Of(Capabilities).Root == Root.ScopeRoot
                && Root.Extensions.Namespace == Namespace
                && NarrowingMask.TryParse(Root.Extensions.Mask, out var signed) && signed == Mask;
        }
        catch (DenialException)
        {
            return false;
        }
    }

    private static NarrowingMask NarrowingMaskOf(IReadOnlyList<string> capabilities)
    {
        // Names are checked first: only then every one of them has a UTF-8 form.
        foreach (var capability in capabilities)
        {
            Intent.LeafOf(capability);
        }

        return NarrowingMask.Of(capabilities);
    }

    private static ulong Expiry(ulong now, ulong ttlSeconds) => now > ulong.MaxValue - ttlSeconds ? ulong.MaxValue : now + ttlSeconds;
}
