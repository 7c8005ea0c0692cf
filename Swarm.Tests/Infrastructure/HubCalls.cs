using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Swarm.Tests.Infrastructure;

/// <summary>An answer of the Hub API or a door.</summary>
internal sealed record Answer(HttpStatusCode Status, JsonElement Json, string Text, string? ContentType)
{
    public JsonElement this[string member] => Json.GetProperty(member);

    /// <summary>The last part of a problem's <c>type</c>.</summary>
    public string? Error => Json.ValueKind == JsonValueKind.Object && Json.TryGetProperty("type", out var type)
        ? type.GetString()!["urn:swarm:error:".Length..]
        : null;

    public Answer Ok()
    {
        Assert.True((int)Status is >= 200 and < 300, $"{(int)Status} {Text}");
        return this;
    }

    public void Refused(HttpStatusCode status, string error)
    {
        Assert.True(Status == status && Error == error, $"Expected {(int)status} {error}, got {(int)Status} {Text}");
        Assert.Equal("application/problem+json", ContentType);
    }
}

/// <summary>Calls as a test writes them.</summary>
internal static class HubCalls
{
    public static async Task<Answer> CallAsync(
        this HttpClient http, HttpMethod method, string path, HttpContent? content = null, string? idempotencyKey = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (idempotencyKey is not null)
        {
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        }

        using var answer = await http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        var type = answer.Content.Headers.ContentType?.MediaType;
        return new(answer.StatusCode, type?.EndsWith("json", StringComparison.Ordinal) == true ? JsonElement.Parse(text) : default, text, type);
    }

    public static Task<Answer> GetHubAsync(this HttpClient http, string path) => http.CallAsync(HttpMethod.Get, path);

    public static Task<Answer> PostHubAsync(this HttpClient http, string path, object body) =>
        http.CallAsync(HttpMethod.Post, path, JsonContent.Create(body));

    /// <summary>Posts what may be posted again under the same key.</summary>
    public static Task<Answer> PostHubAsync(this HttpClient http, string path, object body, string idempotencyKey) =>
        http.CallAsync(HttpMethod.Post, path, JsonContent.Create(body), idempotencyKey);

    public static Task<Answer> DeleteHubAsync(this HttpClient http, string path) => http.CallAsync(HttpMethod.Delete, path);

    /// <summary>Posts a signed message, as the bytes they are.</summary>
    public static Task<Answer> PostMessageAsync(this HttpClient http, string agent, byte[] wire)
    {
        var content = new ByteArrayContent(wire);
        content.Headers.ContentType = new("application/json");
        return http.CallAsync(HttpMethod.Post, $"/agents/{agent}/swarm/message", content);
    }
}
