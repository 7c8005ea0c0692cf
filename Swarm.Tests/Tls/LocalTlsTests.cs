using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Swarm.Api.Tls;
using Swarm.Core.Identity;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;

namespace Swarm.Tests.Tls;

[Shown(By.Wire)]
public sealed class LocalTlsTests : IDisposable
{
    private static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    private readonly string _folder = Directory.CreateTempSubdirectory("swarm-tls-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [Conforms("ASP-44")]
    [InlineData("localhost", 1)]
    [InlineData("localhost", 2)]
    [InlineData("127.0.0.1", 2)]
    [InlineData("[::1]", 1)]
    public async Task A_client_that_trusts_the_file_connects(string host, int major)
    {
        await using WebApplication app = await StartAsync();
        Uri address = Address(app, host);
        using HttpClient client = Client(TrustedByFile());
        using var request = new HttpRequestMessage(HttpMethod.Get, address)
        {
            Version = new Version(major, major == 1 ? 1 : 0),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };

        using HttpResponseMessage response = await client.SendAsync(request);

        Assert.Equal(request.Version, response.Version);
        Assert.Equal(major == 1 ? "HTTP/1.1 TLS" : "HTTP/2 TLS", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    [Conforms("ASP-44")]
    public async Task A_client_that_does_not_trust_the_file_refuses()
    {
        await using WebApplication app = await StartAsync();
        using HttpClient client = Client(new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck });

        HttpRequestException error = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync(Address(app, "localhost")));

        Assert.IsType<AuthenticationException>(error.InnerException);
    }

    [Theory]
    [Conforms("ASP-44")]
    [InlineData("h2 http/1.1", "h2", SslProtocols.Tls13)]
    [InlineData("http/1.1 h2", "h2", SslProtocols.Tls12)]
    [InlineData("http/1.1", "http/1.1", SslProtocols.Tls13)]
    [InlineData("http/1.1", "http/1.1", SslProtocols.Tls12)]
    [InlineData("", "", SslProtocols.Tls12)]
    public async Task The_protocol_is_negotiated_within_the_handshake(string offered, string chosen, SslProtocols version)
    {
        await using WebApplication app = await StartAsync();
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, Address(app, "localhost").Port);
        await using var tls = new SslStream(socket.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            EnabledSslProtocols = version,
            CertificateChainPolicy = TrustedByFile(),
            ApplicationProtocols = offered.Length == 0 ? null : [.. offered.Split(' ').Select(p => new SslApplicationProtocol(p))],
        });

        Assert.Equal((version, chosen), (tls.SslProtocol, System.Text.Encoding.ASCII.GetString(tls.NegotiatedApplicationProtocol.Protocol.Span)));
    }

    [Fact]
    [Conforms("ASP-44")]
    public async Task A_trusted_certificate_for_another_name_is_refused()
    {
        await using WebApplication app = await StartAsync();
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, Address(app, "localhost").Port);
        await using var tls = new SslStream(socket.GetStream());
        await Assert.ThrowsAsync<AuthenticationException>(() => tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "swarm.example.com", CertificateChainPolicy = TrustedByFile() }));
    }

    /// <summary>A hand-made ClientHello, because the clients here refuse old versions by themselves.</summary>
    [Theory]
    [Conforms("ASP-44")]
    [InlineData(0x01, false)]
    [InlineData(0x02, false)]
    [InlineData(0x03, true)]
    public async Task Nothing_older_than_TLS_1_2_is_spoken(byte minor, bool isSpoken)
    {
        await using WebApplication app = await StartAsync();
        using var socket = new System.Net.Sockets.TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, Address(app, "localhost").Port);
        byte[] body =
        [
            0x03, minor, .. RandomNumberGenerator.GetBytes(32), 0, // version, random, no session
            0, 6, 0xC0, 0x2B, 0xC0, 0x09, 0xC0, 0x0A, 1, 0, // ECDHE with ECDSA, no compression
            0, 24, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 6, 0, 4, 4, 3, 2, 3, // P-256, its point format, ECDSA
        ];
        byte[] hello = [0x16, 0x03, 0x01, 0, (byte)(body.Length + 4), 0x01, 0, 0, (byte)body.Length, .. body];
        await socket.GetStream().WriteAsync(hello);
        var answer = new byte[7];
        await socket.GetStream().ReadExactlyAsync(answer);

        // A handshake goes on, or a fatal alert: protocol version.
        Assert.Equal(isSpoken ? 0x16 : 0x15, answer[0]);
        Assert.True(isSpoken || answer is [.., 2, 70], Convert.ToHexString(answer));
    }

    [Fact]
    public async Task A_configured_certificate_outranks_the_local_one()
    {
        using ECDsa key = ECDsa.Create();
        var request = new CertificateRequest("CN=mine", key, HashAlgorithmName.SHA256);
        using X509Certificate2 mine = request.CreateSelfSigned(Now.AddHours(-1), Now.AddHours(1));
        string file = Path.Combine(_folder, "mine.pfx");
        await File.WriteAllBytesAsync(file, mine.Export(X509ContentType.Pkcs12, "p"));
        await using WebApplication app = await StartAsync(new() { ["Kestrel:Certificates:Default:Path"] = file, ["Kestrel:Certificates:Default:Password"] = "p" });
        string? subject = null;
        using var handler = new HttpClientHandler
        {
            ServerCertificateCustomValidationCallback = (_, certificate, _, _) => (subject = certificate!.Subject) is not null,
        };
        using var client = new HttpClient(handler);

        await client.GetStringAsync(Address(app, "localhost"));

        Assert.Equal("CN=mine", subject);
        Assert.False(File.Exists(Path.Combine(_folder, LocalAuthority.CertificateFile)));
    }

    [Fact]
    public void The_authority_cannot_vouch_for_a_name_outside_loopback()
    {
        new LocalAuthority(_folder, TimeProvider.System).IssueServerCertificate().Dispose();
        Assert.Equal(X509ChainStatusFlags.NoError, Status(IssueFor(names => names.AddDnsName("localhost"))));
        Assert.Equal(X509ChainStatusFlags.NoError, Status(IssueFor(names => names.AddIpAddress(IPAddress.Parse("127.9.9.9")))));

        Action<SubjectAlternativeNameBuilder>[] foreign =
        [
            names => names.AddDnsName("example.com"),
            names => names.AddDnsName("localhost.example.com"),
            names => names.AddIpAddress(IPAddress.Parse("10.0.0.1")),
            names => names.AddIpAddress(IPAddress.Parse("::2")),
            names =>
            {
                names.AddDnsName("localhost");
                names.AddDnsName("example.com");
            },
        ];
        Assert.All(foreign, name => Assert.True(
            Status(IssueFor(name)).HasFlag(X509ChainStatusFlags.HasNotPermittedNameConstraint), $"{Status(IssueFor(name))}"));
    }

    [Fact]
    public void The_constraint_is_critical_and_the_authority_signs_no_other_authority()
    {
        new LocalAuthority(_folder, TimeProvider.System).IssueServerCertificate().Dispose();
        using X509Certificate2 authority = TrustedFile();

        Assert.True(authority.Extensions.Single(extension => extension.Oid!.Value == "2.5.29.30").Critical);
        X509BasicConstraintsExtension basic = authority.Extensions.OfType<X509BasicConstraintsExtension>().Single();
        Assert.True(basic is { Critical: true, CertificateAuthority: true, HasPathLengthConstraint: true, PathLengthConstraint: 0 });
        Assert.Equal(X509KeyUsageFlags.KeyCertSign, authority.Extensions.OfType<X509KeyUsageExtension>().Single().KeyUsages);
        Assert.False(authority.HasPrivateKey);
    }

    [Fact]
    [Refuses("W-29")]
    public void The_key_is_closed_to_others_and_stays_so()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var authority = new LocalAuthority(_folder, TimeProvider.System);
        authority.IssueServerCertificate().Dispose();
        string key = Path.Combine(_folder, LocalAuthority.KeyFile);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));

        File.SetUnixFileMode(key, (UnixFileMode)0b110_100_100);
        authority.IssueServerCertificate().Dispose();

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
        Assert.DoesNotContain("PRIVATE", File.ReadAllText(Path.Combine(_folder, LocalAuthority.CertificateFile)), StringComparison.Ordinal);
    }

    /// <summary>Several times, because it takes luck to start within the same moment.</summary>
    [Fact]
    public async Task Replicas_that_start_together_share_one_authority()
    {
        for (int round = 0; round < 10; round++)
        {
            string folder = Directory.CreateDirectory(Path.Combine(_folder, $"{round}")).FullName;
            using var start = new Barrier(8);
            X509Certificate2[] leaves = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    start.SignalAndWait();
                    return new LocalAuthority(folder, TimeProvider.System).IssueServerCertificate();
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

            Assert.All(leaves, leaf => Assert.Equal(X509ChainStatusFlags.NoError, Status(leaf, folder)));
            Assert.Equal(
                [LocalAuthority.KeyFile, $"{LocalAuthority.KeyFile}.lock", LocalAuthority.CertificateFile],
                Directory.GetFiles(folder).Select(Path.GetFileName).Order(StringComparer.Ordinal));
            Assert.Equal(8, leaves.Select(leaf => leaf.SerialNumber).Distinct().Count());
        }
    }

    [Fact]
    public void The_leaf_is_renewed_before_it_ends_and_the_authority_is_kept()
    {
        var time = new SettableTime(Now);
        var certificate = new ServerCertificate(new LocalAuthority(_folder, time), time);
        string first = certificate.Current.TargetCertificate.SerialNumber;
        string authority = File.ReadAllText(Path.Combine(_folder, LocalAuthority.CertificateFile));

        time.Now = Now.AddDays(19);
        Assert.Equal(first, certificate.Current.TargetCertificate.SerialNumber);
        time.Now = Now.AddDays(21);
        X509Certificate2 second = certificate.Current.TargetCertificate;

        Assert.NotEqual(first, second.SerialNumber);
        Assert.Equal(Now.AddDays(51).UtcDateTime, second.NotAfter.ToUniversalTime(), TimeSpan.FromSeconds(1));
        Assert.Equal(authority, File.ReadAllText(Path.Combine(_folder, LocalAuthority.CertificateFile)));
    }

    [Fact]
    public void An_authority_near_its_end_is_replaced_and_a_damaged_one_is_an_error()
    {
        var time = new SettableTime(Now);
        var authority = new LocalAuthority(_folder, time);
        authority.IssueServerCertificate().Dispose();
        string first = File.ReadAllText(Path.Combine(_folder, LocalAuthority.CertificateFile));

        time.Now = Now.AddYears(10).AddDays(-10);
        authority.IssueServerCertificate().Dispose();
        Assert.NotEqual(first, File.ReadAllText(Path.Combine(_folder, LocalAuthority.CertificateFile)));

        File.WriteAllText(Path.Combine(_folder, LocalAuthority.KeyFile), "rubbish");
        CryptographicException error = Assert.Throws<CryptographicException>(authority.IssueServerCertificate);
        Assert.Contains("damaged", error.Message, StringComparison.Ordinal);
    }

    private async Task<WebApplication> StartAsync(Dictionary<string, string?>? settings = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new());
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        builder.Configuration.AddInMemoryCollection([new("Kestrel:Endpoints:https:Url", "https://127.0.0.1:0"), new("Kestrel:Endpoints:v6:Url", "https://[::1]:0")]);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Configure(builder.Configuration.GetSection("Kestrel")));
        builder.Services.AddLogging().AddRouting().AddSingleton(TimeProvider.System).AddSingleton(new DataFolderOptions { Path = _folder });
        builder.AddLocalTls();
        WebApplication app = builder.Build();
        app.Run(http => http.Response.WriteAsync(
            http.Request.Protocol + (http.Features.Get<ITlsHandshakeFeature>() is { Protocol: >= SslProtocols.Tls12 } ? " TLS" : " no TLS")));
        await app.StartAsync();
        return app;
    }

    private static Uri Address(WebApplication app, string host)
    {
        IEnumerable<Uri> addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(text => new Uri(text));
        Uri bound = addresses.First(address => address.Host.Contains(':', StringComparison.Ordinal) == (host == "[::1]"));
        return new UriBuilder("https", host, bound.Port).Uri;
    }

    private static HttpClient Client(X509ChainPolicy policy) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy },
    });

    private X509Certificate2 TrustedFile(string? folder = null) =>
        X509CertificateLoader.LoadCertificateFromFile(Path.Combine(folder ?? _folder, LocalAuthority.CertificateFile));

    private X509ChainPolicy TrustedByFile(string? folder = null) => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        CustomTrustStore = { TrustedFile(folder) },
        RevocationMode = X509RevocationMode.NoCheck,
    };

    private X509ChainStatusFlags Status(X509Certificate2 leaf, string? folder = null)
    {
        using var chain = new X509Chain { ChainPolicy = TrustedByFile(folder) };
        bool valid = chain.Build(leaf);
        X509ChainStatusFlags status = chain.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, one) => all | one.Status);
        Assert.Equal(valid, status == X509ChainStatusFlags.NoError);
        return status;
    }

    // What somebody who stole the key could make.
    private X509Certificate2 IssueFor(Action<SubjectAlternativeNameBuilder> name)
    {
        string pem = File.ReadAllText(Path.Combine(_folder, LocalAuthority.KeyFile));
        using X509Certificate2 authority = X509Certificate2.CreateFromPem(pem, pem);
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=stolen", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        name(names);
        request.CertificateExtensions.Add(names.Build());
        return request.Create(authority, Now.AddMinutes(-5), Now.AddDays(1), [1, 2, 3, 4]);
    }
}
