using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Portability;

namespace Swarm.Api.Hub;

/// <summary>The way from and to another installation (ASP §13).</summary>
internal static class HubState
{
    /// <summary>The largest state that is taken, in bytes.</summary>
    public const int ImportBytesMax = 32 * 1024 * 1024;

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static async Task<IResult> Export(HttpContext http, string agent, AgentDirectory directory, StateExport export)
    {
        var profile = await http.SeeAsync(directory, agent);
        var state = await export.RunAsync(profile, Flag(http, "outbox", absent: true), http.RequestAborted);
        var buffer = new ArrayBufferWriter<byte>();
        await using (var json = new Utf8JsonWriter(buffer, Options))
        {
            StateWriter.Write(json, state);
        }

        return Results.Bytes(buffer.WrittenMemory, "application/json");
    }

    /// <summary>A roster in a file is somebody's word: only an operator may make it the node's.</summary>
    public static async Task<IResult> Import(HttpContext http, string agent, AgentDirectory directory, StateImport import, TimeProvider time)
    {
        http.RequireAdmin();
        var profile = await http.ActAsAsync(directory, agent);
        var merge = Flag(http, "merge", absent: false);
        var state = StateReader.Read(await ReadAsync(http), time.GetUtcNow());
        var done = await import.RunAsync(profile, state, merge, http.RequestAborted);
        return Results.Json(
            new ImportedBody(
                done.SchemaVersion, done.Swarms, done.PublicKeys, done.MutedAgents, done.MutedSwarms, done.Inbox, done.Outbox,
                [.. done.Skipped.Select(id => id.ToString())]),
            HubJson.Default.ImportedBody);
    }

    private static async Task<byte[]> ReadAsync(HttpContext http)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = ImportBytesMax;
        }

        if (!http.Request.HasJsonContentType())
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The Content-Type must be application/json.");
        }

        using var body = new MemoryStream();
        var chunk = new byte[64 * 1024];
        for (int read; (read = await http.Request.Body.ReadAsync(chunk, http.RequestAborted)) > 0;)
        {
            if (body.Length + read > ImportBytesMax)
            {
                throw new SwarmException(SwarmError.BodyTooLarge);
            }

            body.Write(chunk, 0, read);
        }

        return body.ToArray();
    }

    private static bool Flag(HttpContext http, string name, bool absent) => (string?)http.Request.Query[name] switch
    {
        null or "" => absent,
        "true" => true,
        "false" => false,
        _ => throw new SwarmException(SwarmError.InvalidRequest, $"{name} is true or false."),
    };
}
