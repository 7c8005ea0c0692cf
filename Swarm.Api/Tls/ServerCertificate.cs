using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Swarm.Api.Tls;

/// <summary>The certificate that the node serves; made anew when a third of its life is left.</summary>
internal sealed class ServerCertificate
{
    private static readonly TimeSpan RenewalAge = LocalAuthority.ServerLifetime * 2 / 3;

    private readonly LocalAuthority _authority;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private volatile Issued _current;

    public ServerCertificate(LocalAuthority authority, TimeProvider time)
    {
        _authority = authority;
        _time = time;
        _current = Issue();
    }

    /// <summary>What a handshake is to use. Kept between handshakes, so that TLS sessions can be resumed.</summary>
    public SslStreamCertificateContext Current
    {
        get
        {
            if (_time.GetUtcNow() >= _current.RenewAt)
            {
                lock (_lock)
                {
                    // The old one is left to the collector: handshakes may still use it.
                    if (_time.GetUtcNow() >= _current.RenewAt)
                    {
                        _current = Issue();
                    }
                }
            }

            return _current.Context;
        }
    }

    private Issued Issue()
    {
        X509Certificate2 certificate = _authority.IssueServerCertificate();
        return new Issued(SslStreamCertificateContext.Create(certificate, additionalCertificates: null, offline: true), _time.GetUtcNow() + RenewalAge);
    }

    private sealed record Issued(SslStreamCertificateContext Context, DateTimeOffset RenewAt);
}
