using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Swarm.Client;

namespace Swarm.Tests.Client;

public sealed class LocalCaTests
{
    private const string Status = """{"node_id":"n","version":"0.1.0","started_at":"2026-02-05T14:30:00.000Z","signals":"redis","agents":1,"swarms":2,"messages":3}""";

    [Fact]
    public async Task The_nodes_own_authority_is_trusted_by_file_and_nothing_else_is()
    {
        using var ca = Authority("CN=Swarm local CA");
        using var other = Authority("CN=Another CA");
        using var leaf = Leaf(ca);
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.JsonAsync(context, 200, Status), leaf);
        var folder = Directory.CreateTempSubdirectory("swarm-ca-");
        try
        {
            var right = Path.Combine(folder.FullName, "ca.pem");
            var wrong = Path.Combine(folder.FullName, "other.pem");
            await File.WriteAllTextAsync(right, ca.ExportCertificatePem());
            await File.WriteAllTextAsync(wrong, other.ExportCertificatePem());
            using var trusting = new SwarmClient(new SwarmClientOptions { Url = peer.Url, CaFile = right, TriesMax = 1 });
            using var mistaken = new SwarmClient(new SwarmClientOptions { Url = peer.Url, CaFile = wrong, TriesMax = 1 });
            using var unaware = new SwarmClient(new SwarmClientOptions { Url = peer.Url, TriesMax = 1 });
            Assert.Equal(3, (await trusting.GetStatusAsync()).Messages);
            await Assert.ThrowsAsync<SwarmConnectionException>(() => mistaken.GetStatusAsync());
            await Assert.ThrowsAsync<SwarmConnectionException>(() => unaware.GetStatusAsync());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    private static X509Certificate2 Leaf(X509Certificate2 authority)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.Create(authority, now.AddHours(-1), now.AddHours(1), [1, 2, 3]);
        return certificate.CopyWithPrivateKey(key);
    }
}
