using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Swarm.Client.Transport;

/// <summary>
/// The connection to a node: no redirects (they would carry the token elsewhere), and the local certificate authority by file.
/// </summary>
internal static class NodeHandler
{
    /// <summary>The most connections to a node at once, streams included.</summary>
    private const int ConnectionsMax = 256;

    public static SocketsHttpHandler Create(SwarmClientOptions options)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = !options.Url.IsLoopback,
            MaxConnectionsPerServer = ConnectionsMax,
            EnableMultipleHttp2Connections = true,
            PooledConnectionLifetime = TimeSpan.FromMinutes(15),
            ConnectTimeout = TimeSpan.FromSeconds(10),
        };
        if (options.CaFile is not null)
        {
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = TrustOnly(options.CaFile) };
        }

        return handler;
    }

    private static X509ChainPolicy TrustOnly(string caFile)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(caFile);
        return policy;
    }
}
