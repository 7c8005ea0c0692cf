using System.Text;
using System.Text.Json;

namespace Swarm.Tests.Capabilities.Sdk;

/// <summary>An error of the Go SDK.</summary>
internal sealed class GoError(string text, string? code, int status) : Exception(text)
{
    public string? Code => code;

    public int Status => status;
}

/// <summary>
/// The Go SDK's client (A1 §14.7): no retries, zero values left out, passport answers without <c>success</c> are errors. Decoding is typed: a member of
/// another type is an error, an absent one its zero value.
/// </summary>
internal sealed class GoClient(HttpClient http, params (string Name, string Value)[] headers)
{
    public async Task<(string Namespace, string Fingerprint, string Mask, string Commitment, int Depth)> AuthorizePassportAsync(
        JsonElement chain, string intentName, string executorPkHex, Dictionary<string, object>? intentParams = null)
    {
        var answer = await RequestAsync(
            HttpMethod.Post, "/v1/passport/authorize",
            new { chain, intent_name = intentName, executor_pk_hex = executorPkHex, intent_params = intentParams ?? [] });
        var receipt = answer.TryGetProperty("receipt", out var nested) ? nested : answer;
        return (Text(receipt, "passport_namespace"), Text(receipt, "fingerprint_hex"), Text(receipt, "capability_mask_hex"), Text(receipt, "narrowing_commitment_hex"), Number(receipt, "chain_depth"));
    }

    public async Task<(string Fingerprint, string ScopeRoot)> IssueCertAsync(string delegatePkHex, object[] intents, int ttlSeconds = 0, int maxDepth = 0)
    {
        var body = new Dictionary<string, object> { ["delegate_pk_hex"] = delegatePkHex, ["intents"] = intents };
        if (ttlSeconds != 0)
        {
            body["ttl_seconds"] = ttlSeconds;
        }

        if (maxDepth != 0)
        {
            body["max_depth"] = maxDepth;
        }

        var answer = await RequestAsync(HttpMethod.Post, "/v1/cert/issue", body);
        return (Text(answer, "fingerprint_hex"), Text(answer, "scope_root_hex"));
    }

    public Task RevokeCertAsync(string fingerprint) => RequestAsync(HttpMethod.Post, "/v1/cert/revoke", new { fingerprint_hex = fingerprint });

    public async Task<(int Count, int Failed)> RevokeCertsBatchAsync(string[] fingerprints)
    {
        var answer = await RequestAsync(HttpMethod.Post, "/v1/cert/revoke-batch", new { fingerprints });
        return (Number(answer, "revoked_count"), answer.GetProperty("failed").GetArrayLength());
    }

    public async Task<bool> InspectCertAsync(string fingerprint)
    {
        var answer = await RequestAsync(HttpMethod.Get, $"/v1/cert/{fingerprint}", null);
        return answer.GetProperty("revoked").GetBoolean();
    }

    public Task<JsonElement> WellKnownAsync() => RequestAsync(HttpMethod.Get, "/.well-known/a1-configuration", null);

    public Task<JsonElement> VerifyTokenAsync(JsonElement token) => RequestAsync(HttpMethod.Post, "/v1/token/verify", token);

    public async Task<(string Path, string PublicKey, string ExpiresAt, long TtlSeconds)> IssuePassportAsync(string @namespace, string[] capabilities, string ttl) =>
        ReadPassport(await RequestAsync(HttpMethod.Post, "/v1/passports/issue", new { @namespace, capabilities, ttl }));

    public async Task<(string Path, string PublicKey, string ExpiresAt, long TtlSeconds)> RenewPassportAsync(string path, string ttl) =>
        ReadPassport(await RequestAsync(HttpMethod.Post, "/v1/passports/renew", new { path, ttl }));

    public async Task<JsonElement[]> ListPassportsAsync() =>
        [.. (await RequestAsync(HttpMethod.Get, "/v1/passports/list", null)).GetProperty("passports").EnumerateArray()];

    public async Task<string> RevokePassportByNamespaceAsync(string @namespace)
    {
        var answer = await RequestAsync(HttpMethod.Post, "/v1/passports/revoke-by-namespace", new { @namespace });
        return Text(answer, "error") is { Length: > 0 } error ? throw new GoError(error, null, 200) : Text(answer, "fingerprint_hex");
    }

    private static (string Path, string PublicKey, string ExpiresAt, long TtlSeconds) ReadPassport(JsonElement answer) =>
        answer.TryGetProperty("success", out var success) && success.GetBoolean()
            ? (Text(answer, "path"), Text(answer, "public_key_hex"), Text(answer, "expires_at"), answer.GetProperty("ttl_seconds").GetInt64())
            : throw new GoError(Text(answer, "error"), null, 200);

    private static string Text(JsonElement answer, string member) =>
        answer.TryGetProperty(member, out var value) && value.ValueKind != JsonValueKind.Null ? value.GetString()! : "";

    private static int Number(JsonElement answer, string member) => answer.TryGetProperty(member, out var value) ? value.GetInt32() : 0;

    private async Task<JsonElement> RequestAsync(HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        request.Headers.TryAddWithoutValidation("User-Agent", "a1-sdk-go/dyolo_v2.8.0");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        if (body is not null)
        {
            request.Content = new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        }

        using var answer = await http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return (int)answer.StatusCode < 400
            ? JsonElement.Parse(text)
            : throw new GoError(PythonJson.ErrorOf(text) ?? (text.Length > 0 ? text : answer.ReasonPhrase!), PythonJson.Member(text, "error_code"), (int)answer.StatusCode);
    }
}
