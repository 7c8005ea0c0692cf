using System.Net;
using System.Text;
using System.Text.Json;

namespace Swarm.Tests.Doors;

/// <summary>An answer of a door, read.</summary>
internal sealed record DoorAnswer(HttpStatusCode Status, string Text, HttpResponseMessage Http)
{
    public int Code => (int)Status;

    public JsonElement Json => JsonElement.Parse(Text);

    /// <summary>The protocol's error code; null when the answer has no error object.</summary>
    public string? ErrorCode => Json.TryGetProperty("error", out var error) ? error.GetProperty("code").GetString() : null;

    /// <summary>The failures of a 422 as <c>place:type</c>.</summary>
    public IReadOnlyList<string> Failures =>
        [.. Json.GetProperty("detail").EnumerateArray()
            .Select(failure => $"{string.Join('.', failure.GetProperty("loc").EnumerateArray())}:{failure.GetProperty("type").GetString()}")];
}

internal static class DoorClient
{
    /// <summary>Posts bytes as a reference peer does, but without its X- headers, which nobody may require (ASP §7.1).</summary>
    public static async Task<DoorAnswer> PostAsync(this HttpClient http, string path, byte[] body, string? contentType = "application/json")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        if (contentType is not null)
        {
            request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        return await ReadAsync(await http.SendAsync(request));
    }

    public static Task<DoorAnswer> PostObjectAsync(this HttpClient http, string path, object body) =>
        http.PostAsync(path, JsonSerializer.SerializeToUtf8Bytes(body));

    public static async Task<DoorAnswer> SendAsync(this HttpClient http, HttpMethod method, string path)
    {
        using var request = new HttpRequestMessage(method, path);
        return await ReadAsync(await http.SendAsync(request));
    }

    private static async Task<DoorAnswer> ReadAsync(HttpResponseMessage answer) =>
        new(answer.StatusCode, Encoding.UTF8.GetString(await answer.Content.ReadAsByteArrayAsync()), answer);
}
