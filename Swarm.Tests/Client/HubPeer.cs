using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Swarm.Tests.Client;

/// <summary>What a client put on the wire.</summary>
public sealed record SeenRequest(string Method, string Path, IReadOnlyDictionary<string, string> Headers, string Body)
{
    public string? this[string header] => Headers.GetValueOrDefault(header);

    public override string ToString() => $"{Method} {Path}";
}

/// <summary>
/// A protocol peer: answers on loopback with literal bytes of the Hub API contract, and records what it was asked. It knows nothing of
/// the product's code.
/// </summary>
public sealed class HubPeer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<SeenRequest> seen = new();

    private HubPeer(WebApplication app) => this.app = app;

    /// <summary>Answers the request; the number counts from 1.</summary>
    public delegate Task Answer(HttpContext context, SeenRequest request, int number);

    public IReadOnlyList<SeenRequest> Seen => [.. seen];

    public Uri Url => new(app.Urls.Single());

    public static async Task<HubPeer> StartAsync(Answer answer, X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions()); // The product's settings must not reach it.
        builder.WebHost.UseKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                if (certificate is not null)
                {
                    listen.UseHttps(certificate);
                }
            });
        });
        var peer = new HubPeer(builder.Build());
        var count = 0;
        peer.app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
            var request = new SeenRequest(
                context.Request.Method,
                context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
                context.Request.Headers.ToDictionary(
                    header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase),
                await reader.ReadToEndAsync());
            peer.seen.Enqueue(request);
            await answer(context, request, Interlocked.Increment(ref count));
        });
        await peer.app.StartAsync();
        return peer;
    }

    /// <summary>A peer that gives the same answer to everything.</summary>
    public static Task<HubPeer> StartAsync(int status, string json) => StartAsync((context, _, _) => JsonAsync(context, status, json));

    /// <summary>A peer that looks its answers up by method and path (query included when the key has one); 404 for the rest.</summary>
    public static Task<HubPeer> StartAsync(IReadOnlyDictionary<string, string> answers) => StartAsync((context, request, _) =>
        answers.TryGetValue(request.ToString(), out var json) || answers.TryGetValue(
            $"{request.Method} {request.Path.Split('?')[0]}", out json)
            ? JsonAsync(context, json.Length == 0 ? 204 : 200, json)
            : ProblemAsync(context, 404, "unknown-agent", "There is no such thing at " + request));

    public static async Task JsonAsync(HttpContext context, int status, string json)
    {
        context.Response.StatusCode = status;
        if (json.Length > 0)
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(json);
        }
    }

    public static Task ProblemAsync(HttpContext context, int status, string id, string detail) =>
        JsonAsync(context, status, $$"""{"type":"urn:swarm:error:{{id}}","title":"Title","status":{{status}},"detail":"{{detail}}"}""");

    /// <summary>Sends parts of an event stream, each flushed.</summary>
    public static async Task EventsAsync(HttpContext context, params string[] parts)
    {
        context.Response.ContentType = "text/event-stream";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        await context.Response.StartAsync();
        foreach (var part in parts)
        {
            await context.Response.WriteAsync(part);
            await context.Response.Body.FlushAsync();
        }
    }

    /// <summary>Keeps the answer open until the client goes away.</summary>
    public static Task UntilAbortedAsync(HttpContext context)
    {
        var gone = new TaskCompletionSource();
        context.RequestAborted.Register(gone.SetResult);
        return gone.Task;
    }

    /// <summary>An inbox item as the contract writes it.</summary>
    public static string Item(long seq, string content = "text", string state = "pending") =>
        $$"""
        {"seq":{{seq}},"message_id":"00000000-0000-4000-8000-{{seq:d12}}","swarm_id":"550e8400-e29b-41d4-a716-446655440000","sender":"bob","recipient":"alice","type":"message","priority":"normal","content":{{System.Text.Json.JsonSerializer.Serialize(content)}},"timestamp":"2026-02-05T14:30:00.123Z","accepted_at":"2026-02-05T14:30:00.456Z","state":"{{state}}","verified":true}
        """;

    public static string Event(long seq, string content = "text") => $"id: {seq}\nevent: message\ndata: {Item(seq, content)}\n\n";

    public async ValueTask DisposeAsync()
    {
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync(); // Open streams are cut; nothing waits for them.
        await app.StopAsync(atOnce.Token);
        await app.DisposeAsync();
    }
}
