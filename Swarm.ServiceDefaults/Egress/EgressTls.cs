using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>Who is believed to be the host that it claims to be: the system's authorities, and those that the operator names.</summary>
internal static class EgressTls
{
    private static readonly Oid ServerAuthentication = new("1.3.6.1.5.5.7.3.1");

    public static SslClientAuthenticationOptions Options(string? trustedRoots)
    {
        var options = new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            CertificateChainPolicy = Policy(X509ChainTrustMode.System),
        };
        if (!string.IsNullOrEmpty(trustedRoots))
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(trustedRoots);
            options.RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                errors == SslPolicyErrors.None || (errors == SslPolicyErrors.RemoteCertificateChainErrors && IsTrusted(certificate, chain, roots));
        }

        return options;
    }

    // A certificate names URLs of its issuer and of revocation lists. They are the peer's words too, and nothing may be fetched from them.
    private static X509ChainPolicy Policy(X509ChainTrustMode mode)
    {
        var policy = new X509ChainPolicy { TrustMode = mode, DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck };
        policy.ApplicationPolicy.Add(ServerAuthentication);
        return policy;
    }

    private static bool IsTrusted(X509Certificate? certificate, X509Chain? sent, X509Certificate2Collection roots)
    {
        if (certificate is not X509Certificate2 leaf)
        {
            return false;
        }

        using var chain = new X509Chain { ChainPolicy = Policy(X509ChainTrustMode.CustomRootTrust) };
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        if (sent is not null)
        {
            chain.ChainPolicy.ExtraStore.AddRange(sent.ChainPolicy.ExtraStore);
        }

        return chain.Build(leaf);
    }
}
