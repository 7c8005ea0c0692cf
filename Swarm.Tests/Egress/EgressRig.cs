using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Extensions.Options;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Tests.Egress;

/// <summary>The guarded client with a DNS of the test and a network that leads every public address to one port of this machine.</summary>
internal sealed class EgressRig : IDisposable
{
    /// <summary>A public address, which the rig leads to its server.</summary>
    public static readonly IPAddress PublicAddress = IPAddress.Parse("93.184.215.14");

    private readonly int _port;

    public EgressRig(int port, EgressOptions? options = null, EgressResolver? resolve = null, TimeProvider? time = null)
    {
        _port = port;
        Http = new(
            Options.Create(options ?? new EgressOptions()), resolve ?? ((_, _) => Task.FromResult<IPAddress[]>([PublicAddress])), DialAsync,
            time ?? TimeProvider.System);
    }

    public GuardedHttp Http { get; }

    /// <summary>Every address that a connection was made to.</summary>
    public ConcurrentQueue<IPEndPoint> Dialled { get; } = new();

    public Task<EgressResponse> GetAsync(string url, int timeMaxMs = 20_000, int bodyBytesMax = 1024) => Http.SendAsync(
        new(HttpMethod.Get, url) { TimeMax = TimeSpan.FromMilliseconds(timeMaxMs), BodyBytesMax = bodyBytesMax }, CancellationToken.None);

    public void Dispose() => Http.Dispose();

    private Task<Stream> DialAsync(IPEndPoint endpoint, CancellationToken cancellation)
    {
        Dialled.Enqueue(endpoint);
        return GuardedConnect.DialAsync(endpoint.Address.Equals(PublicAddress) ? new(IPAddress.Loopback, _port) : endpoint, cancellation);
    }
}

/// <summary>A server of raw bytes: what it does with a connection is the test's.</summary>
internal sealed class LyingServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Func<Stream, CancellationToken, Task> _serve;
    private readonly X509Certificate2? _certificate;
    private readonly Task _accepting;
    private int _accepted;

    /// <param name="serve">Runs after the request's headers were read; the connection closes when it ends.</param>
    public LyingServer(Func<Stream, CancellationToken, Task> serve, X509Certificate2? certificate = null)
    {
        _serve = serve;
        _certificate = certificate;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public string Url => $"http://127.0.0.1:{Port}/x";

    /// <summary>Connections so far.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    /// <summary>The head of the last request.</summary>
    public string Head { get; private set; } = "";

    /// <summary>Answers each request with these bytes and closes.</summary>
    public static LyingServer Saying(string answer, X509Certificate2? certificate = null) =>
        new(async (stream, end) => await stream.WriteAsync(Encoding.Latin1.GetBytes(answer), end), certificate);

    /// <summary>Says these bytes, and then nothing more.</summary>
    public static LyingServer Hanging(string answer) => new(async (stream, end) =>
    {
        await stream.WriteAsync(Encoding.Latin1.GetBytes(answer), end);
        await Task.Delay(Timeout.Infinite, end);
    });

    /// <summary>Says the start, and then the rest over and over.</summary>
    public static LyingServer Endless(string start, string rest) => new(async (stream, end) =>
    {
        await stream.WriteAsync(Encoding.Latin1.GetBytes(start), end);
        while (true)
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(rest), end);
        }
    });

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_connections);
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_end.Token);
                Interlocked.Increment(ref _accepted);
                _connections.Add(ServeAsync(client));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The end of the test.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            {
                var network = client.GetStream();
                Stream stream = network;
                if (_certificate is not null)
                {
                    var tls = new SslStream(stream);
                    await tls.AuthenticateAsServerAsync(
                        new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(_certificate, null, offline: true) }, _end.Token);
                    stream = tls;
                }

                var head = new StringBuilder();
                var buffer = new byte[1];
                while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(buffer, _end.Token) > 0)
                {
                    head.Append((char)buffer[0]);
                }

                Head = head.ToString();
                await _serve(stream, _end.Token);
                client.Client.Shutdown(SocketShutdown.Send);
                await network.CopyToAsync(Stream.Null, _end.Token); // Until the client closes: a close with unread bytes is a reset.
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException or ObjectDisposedException or System.Security.Authentication.AuthenticationException)
        {
            // The client hung up, as it should.
        }
    }
}

/// <summary>A private certificate authority.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly X509Certificate2 _root;
    private readonly string _file = Path.GetTempFileName();

    public TestAuthority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _root = Request("CN=test root", key, isAuthority: true).CreateSelfSigned(From, To);
        File.WriteAllText(_file, _root.ExportCertificatePem());
    }

    private static DateTimeOffset From { get; } = TimeProvider.System.GetUtcNow().AddDays(-1);

    private static DateTimeOffset To { get; } = From.AddDays(30);

    public string PemFile => _file;

    /// <summary>A certificate for a host.</summary>
    /// <param name="issuersUrl">Where the certificate says that its issuer's own certificate can be fetched.</param>
    public X509Certificate2 Issue(string host, string? issuersUrl = null, bool throughIntermediate = false)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = Request($"CN={host}", key, isAuthority: false);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(host);
        request.CertificateExtensions.Add(names.Build());
        if (issuersUrl is not null)
        {
            request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension([], [issuersUrl]));
        }

        using var issuer = throughIntermediate ? Intermediate() : null;
        using var made = request.Create(issuer ?? _root, From, To.AddDays(-2), RandomNumberGenerator.GetBytes(8));
        using var withKey = made.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null);
    }

    public void Dispose()
    {
        _root.Dispose();
        File.Delete(_file);
    }

    private X509Certificate2 Intermediate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var made = Request("CN=test intermediate", key, isAuthority: true).Create(_root, From, To.AddDays(-1), RandomNumberGenerator.GetBytes(8));
        return made.CopyWithPrivateKey(key);
    }

    private static CertificateRequest Request(string subject, ECDsa key, bool isAuthority)
    {
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
        return request;
    }
}
