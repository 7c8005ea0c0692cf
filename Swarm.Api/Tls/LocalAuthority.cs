using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Swarm.Core.Identity;

namespace Swarm.Api.Tls;

/// <summary>
/// The private certificate authority of one machine. It lives in the node's data folder, can only vouch for loopback names
/// (RFC 5280 §4.2.1.10), and is never put in a system store: clients trust <c>ca.pem</c> by file. Replicas share it.
/// </summary>
internal sealed class LocalAuthority(string folder, TimeProvider time)
{
    /// <summary>The certificate, for clients.</summary>
    public const string CertificateFile = "ca.pem";

    /// <summary>The private key and its certificate, for the node alone (0600).</summary>
    public const string KeyFile = "ca.key";

    /// <summary>How long a server certificate is valid.</summary>
    public static readonly TimeSpan ServerLifetime = TimeSpan.FromDays(30);

    private const int AuthorityYears = 10;
    private static readonly TimeSpan AuthorityRenewal = TimeSpan.FromDays(60); // longer than a server certificate lives
    private static readonly TimeSpan ClockSkew = TimeSpan.FromHours(1);

    private string KeyPath => Path.Combine(folder, KeyFile);

    /// <summary>A new certificate, with its key, for <c>localhost</c>, <c>127.0.0.1</c> and <c>::1</c>. Makes the authority when there is none.</summary>
    /// <exception cref="CryptographicException">The key file is damaged.</exception>
    public X509Certificate2 IssueServerCertificate()
    {
        using X509Certificate2 authority = LoadOrCreate();
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        names.AddIpAddress(IPAddress.IPv6Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], critical: false)); // serverAuth
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, includeKeyIdentifier: true, includeIssuerAndSerial: false));

        DateTimeOffset now = time.GetUtcNow();
        using X509Certificate2 signed = request.Create(authority, now - ClockSkew, now + ServerLifetime, NewSerial());
        using X509Certificate2 complete = signed.CopyWithPrivateKey(key);

        // Windows' TLS needs a key that went through a container.
        return X509CertificateLoader.LoadPkcs12(complete.Export(X509ContentType.Pkcs12), null);
    }

    // One replica at a time: of several that start together the first makes the authority, and the others read it.
    private X509Certificate2 LoadOrCreate()
    {
        using FileStream alone = FileLock.Take(KeyPath, NodeSetup.LockWaitMax);
        X509Certificate2? authority = File.Exists(KeyPath) ? Load() : null;
        if (authority is null || authority.NotAfter.ToUniversalTime() - time.GetUtcNow() < AuthorityRenewal)
        {
            authority?.Dispose();
            Create();
            authority = Load();
        }

        PublishCertificate(authority);
        return authority;
    }

    private X509Certificate2 Load()
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(KeyPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        string pem = File.ReadAllText(KeyPath);
        try
        {
            return X509Certificate2.CreateFromPem(pem, pem);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new CryptographicException($"{KeyPath} is damaged: restore it from a backup, or delete it for a new one (clients must then read {CertificateFile} anew).", e);
        }
    }

    // Key and certificate are one file, so that they are replaced together.
    private void Create()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=Swarm local CA {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        request.CertificateExtensions.Add(LoopbackOnly());
        DateTimeOffset now = time.GetUtcNow();
        using X509Certificate2 authority = request.CreateSelfSigned(now - ClockSkew, now.AddYears(AuthorityYears));

        string fresh = Write(KeyFile, key.ExportPkcs8PrivateKeyPem() + "\n" + authority.ExportCertificatePem() + "\n", secret: true);
        File.Move(fresh, KeyPath, overwrite: true);
    }

    private void PublishCertificate(X509Certificate2 authority)
    {
        string path = Path.Combine(folder, CertificateFile);
        string pem = authority.ExportCertificatePem() + "\n";
        if (!File.Exists(path) || File.ReadAllText(path) != pem)
        {
            File.Move(Write(CertificateFile, pem, secret: false), path, overwrite: true);
        }
    }

    private string Write(string name, string text, bool secret)
    {
        string path = Path.Combine(folder, $"{name}.{Guid.NewGuid():N}.new");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite
                | (secret ? UnixFileMode.None : UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        }

        using var file = new FileStream(path, options);
        file.Write(Encoding.ASCII.GetBytes(text));
        file.Flush(flushToDisk: true);
        return path;
    }

    // NameConstraints ::= SEQUENCE { permittedSubtrees [0] SEQUENCE OF SEQUENCE { base GeneralName } }
    private static X509Extension LoopbackOnly()
    {
        var dnsName = new Asn1Tag(TagClass.ContextSpecific, 2);
        var ipAddress = new Asn1Tag(TagClass.ContextSpecific, 7);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
        {
            using (writer.PushSequence())
            {
                writer.WriteCharacterString(UniversalTagNumber.IA5String, "localhost", dnsName);
            }

            using (writer.PushSequence())
            {
                writer.WriteOctetString([127, 0, 0, 0, 255, 0, 0, 0], ipAddress);
            }

            using (writer.PushSequence())
            {
                byte[] oneAddress = [.. IPAddress.IPv6Loopback.GetAddressBytes(), .. Enumerable.Repeat((byte)255, 16)];
                writer.WriteOctetString(oneAddress, ipAddress);
            }
        }

        return new X509Extension("2.5.29.30", writer.Encode(), critical: true);
    }

    private static byte[] NewSerial()
    {
        byte[] serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x3f) | 0x40); // positive, and of full length
        return serial;
    }
}
