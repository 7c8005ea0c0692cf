using System.Security.Authentication;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Swarm.Core.Identity;

namespace Swarm.Api.Tls;

/// <summary>TLS on this machine without a developer certificate.</summary>
internal static class LocalTls
{
    /// <summary>
    /// Gives every https endpoint a certificate of the <see cref="LocalAuthority"/> in the data folder, and TLS 1.2 at least. When
    /// the configuration names a certificate (<c>Kestrel:Certificates:Default</c>, or <c>Certificate</c> of an endpoint), those are used instead.
    /// </summary>
    public static WebApplicationBuilder AddLocalTls(this WebApplicationBuilder builder)
    {
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            ServerCertificate? certificate = null;
            bool own = HasCertificate(builder.Configuration);
            kestrel.ConfigureHttpsDefaults(https =>
            {
                https.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
                if (!own)
                {
                    certificate ??= Create(kestrel);
                    Serve(https, certificate);
                }
            });
        });
        return builder;
    }

    private static bool HasCertificate(ConfigurationManager configuration) =>
        configuration.GetSection("Kestrel:Certificates:Default").Exists()
        || configuration.GetSection("Kestrel:Endpoints").GetChildren().Any(endpoint => endpoint.GetSection("Certificate").Exists());

    private static ServerCertificate Create(KestrelServerOptions kestrel)
    {
        TimeProvider time = kestrel.ApplicationServices.GetRequiredService<TimeProvider>();
        string folder = kestrel.ApplicationServices.GetRequiredService<DataFolderOptions>().Ensure();
        return new ServerCertificate(new LocalAuthority(folder, time), time);
    }

    private static void Serve(HttpsConnectionAdapterOptions https, ServerCertificate certificate)
    {
        // Kestrel wants to know of a certificate before the first handshake; the handshake itself takes the context.
        https.ServerCertificateSelector = (_, _) => certificate.Current.TargetCertificate;
        https.OnAuthenticate = (_, tls) =>
        {
            tls.ServerCertificateSelectionCallback = null;
            tls.ServerCertificateContext = certificate.Current;
        };
    }
}
