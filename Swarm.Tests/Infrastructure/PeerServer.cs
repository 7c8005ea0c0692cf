using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NSec.Cryptography;
using Swarm.Api.Tls;

namespace Swarm.Tests.Infrastructure;

/// <summary>One request as a peer saw it.</summary>
internal sealed record PeerRequest(string Path, string Protocol, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public JsonElement Json => JsonElement.Parse(Body);

    public string Content => Json.GetProperty("content").GetString()!;

    public string Sender => Json.GetProperty("sender").GetProperty("agent_id").GetString()!;
}

/// <summary>A remote peer over real HTTPS on loopback: it remembers what it got, and answers as a test says.</summary>
internal sealed class PeerServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly string _folder;

    private PeerServer(WebApplication app, string folder) => (_app, _folder) = (app, folder);

    /// <summary>What answers; given the request and how many of the same body came before.</summary>
    public Func<PeerRequest, int, HttpContext, Task> Answer { get; set; } = (_, _, http) => QueuedAsync(http);

    public ConcurrentQueue<PeerRequest> Requests { get; } = new();

    /// <summary>Its messages, in the order of their arrival.</summary>
    public IEnumerable<PeerRequest> Messages => Requests.Where(r => r.Path.EndsWith("/message", StringComparison.Ordinal));

    public Key Key { get; } = Key.Create(SignatureAlgorithm.Ed25519, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });

    public string PublicKey => Convert.ToBase64String(Key.PublicKey.Export(KeyBlobFormat.RawPublicKey));

    /// <summary>The PEM file to trust.</summary>
    public string Ca => Path.Combine(_folder, LocalAuthority.CertificateFile);

    public string Origin => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    public string Endpoint => $"{Origin}/swarm";

    /// <param name="folder">Of another peer, to share its authority.</param>
    public static async Task<PeerServer> StartAsync(PeerServer? like = null)
    {
        var folder = like?._folder ?? Directory.CreateTempSubdirectory("swarm-peer-").FullName;
        var certificate = new LocalAuthority(folder, TimeProvider.System).IssueServerCertificate();
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(k => k.Listen(
            System.Net.IPAddress.Loopback, 0, l => l.UseHttps(certificate)));
        var app = builder.Build();
        var peer = new PeerServer(app, folder);
        var seen = new ConcurrentDictionary<string, int>();
        app.Run(async http =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            var request = new PeerRequest(
                http.Request.Path, http.Request.Protocol, http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase),
                body.ToArray());
            var before = seen.AddOrUpdate(Convert.ToBase64String(request.Body), 0, (_, n) => n + 1);
            peer.Requests.Enqueue(request);
            await peer.Answer(request, before, http);
        });
        await app.StartAsync();
        return peer;
    }

    public static Task QueuedAsync(HttpContext http) => RespondAsync(http, 200, """{"status":"queued"}""");

    public static async Task RespondAsync(HttpContext http, int status, string body = "{}", string? retryAfter = null)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json";
        if (retryAfter is not null)
        {
            http.Response.Headers.RetryAfter = retryAfter;
        }

        await http.Response.WriteAsync(body);
    }

    /// <summary>Says nothing until the caller goes.</summary>
    public static async Task HangAsync(HttpContext http) =>
        await Task.Delay(Timeout.InfiniteTimeSpan, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Breaks off within the body.</summary>
    public static async Task HalfAsync(HttpContext http)
    {
        http.Response.ContentLength = 100;
        await http.Response.WriteAsync("{\"status\":");
        await http.Response.Body.FlushAsync();
        http.Abort();
    }

    /// <summary>Talks until the caller goes.</summary>
    public static async Task EndlessAsync(HttpContext http)
    {
        var chunk = new byte[16 * 1024];
        while (!http.RequestAborted.IsCancellationRequested)
        {
            await http.Response.Body.WriteAsync(chunk, http.RequestAborted);
        }
    }

    /// <summary>Joins a swarm of the node as a peer does: by its invite, at the master's door.</summary>
    public async Task JoinAsync(NodeHost node, Scene scene, string name, string? endpoint = null, Key? key = null)
    {
        var invite = await scene.InviteAsync(node.Hub);
        var jwt = invite[(invite.IndexOf("token=", StringComparison.Ordinal) + "token=".Length)..];
        var publicKey = key is null ? PublicKey : Convert.ToBase64String(key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
        (await node.Http.PostHubAsync($"/agents/{scene.Master}/swarm/join", new
        {
            type = "system",
            action = "join_request",
            invite_token = jwt,
            sender = new { agent_id = name, endpoint = endpoint ?? Endpoint, public_key = publicKey },
        })).Ok();
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Key.Dispose();
    }
}
