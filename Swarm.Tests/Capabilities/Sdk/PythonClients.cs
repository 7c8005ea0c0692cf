using System.Text;
using System.Text.Json;

namespace Swarm.Tests.Capabilities.Sdk;

/// <summary>An error of the Python SDK.</summary>
internal sealed class PythonError(string text, string? code) : Exception(text)
{
    public string? Code => code;
}

/// <summary>What the Python SDK's <c>SwarmClient</c> sends and reads (A1 §14.7): httpx, no retries, errors from <c>error</c> else the body.</summary>
internal sealed class PythonSwarmClient(HttpClient http, string baseUrl, string? adminSecret)
{
    private static readonly string[] Record =
        ["agent_did", "agent_pk_hex", "role", "issued_at_unix", "expires_at_unix", "cert_fingerprint_hex"];

    private readonly string _base = baseUrl.TrimEnd('/');

    public async Task<string> CreateSwarmAsync(string name, string[] capabilities, string signingKeyHex, int ttlDays = 30) =>
        (await RequestAsync(HttpMethod.Post, "/v1/swarm/create", new { swarm_name = name, capabilities, ttl_days = ttlDays, signing_key_hex = signingKeyHex }))
            .GetProperty("swarm_id").GetString()!;

    public async Task<JsonElement> AddMemberAsync(string swarmId, string agentPkHex, string role, string[] capabilities, string signingKeyHex, int ttlSeconds = 3600)
    {
        var member = (await RequestAsync(HttpMethod.Post, "/v1/swarm/member/add", new
        {
            swarm_id = swarmId, agent_pk_hex = agentPkHex, role, capabilities, ttl_seconds = ttlSeconds, signing_key_hex = signingKeyHex,
        })).GetProperty("member");
        foreach (var required in Record[..5])
        {
            _ = member.GetProperty(required);
        }

        return member;
    }

    public Task<JsonElement> GetChainAsync(string swarmId, string agentPkHex, string signingKeyHex, int ttlSeconds = 3600) => RequestAsync(
        HttpMethod.Post, "/v1/swarm/member/chain", new { swarm_id = swarmId, agent_pk_hex = agentPkHex, ttl_seconds = ttlSeconds, signing_key_hex = signingKeyHex });

    /// <summary>Each element is splatted into a record: one member more or less is a TypeError.</summary>
    public async Task<JsonElement[]> ListMembersAsync(string swarmId)
    {
        var answer = await RequestAsync(HttpMethod.Get, $"/v1/swarm/{swarmId}/members", null);
        var members = answer.TryGetProperty("members", out var found) ? found.EnumerateArray().ToArray() : [];
        Assert.All(members, member => Assert.Equal(Record, member.EnumerateObject().Select(p => p.Name)));
        return members;
    }

    public Task<JsonElement> RemoveMemberAsync(string swarmId, string agentDid) =>
        RequestAsync(HttpMethod.Post, "/v1/swarm/member/remove", new { swarm_id = swarmId, agent_did = agentDid });

    private async Task<JsonElement> RequestAsync(HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, _base + path);
        if (adminSecret is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {adminSecret}");
        }

        if (body is not null)
        {
            request.Content = new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        }

        using var answer = await http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        if ((int)answer.StatusCode >= 400)
        {
            throw new PythonError(PythonJson.ErrorOf(text) ?? text, "SWARM_ERROR");
        }

        return JsonElement.Parse(text);
    }
}

/// <summary>The Python SDK's <c>A1Client</c>: no headers of its own, retries 429, 502, 503, 504; reads <c>error</c> and <c>code</c>.</summary>
internal sealed class PythonA1Client(HttpClient http)
{
    /// <summary>Requests sent, retries included.</summary>
    public int Sent { get; private set; }

    public Task<JsonElement> WellKnownAsync() => RequestAsync(HttpMethod.Get, "/.well-known/a1-configuration", null);

    public Task<JsonElement> HealthAsync() => RequestAsync(HttpMethod.Get, "/health", null);

    public async Task<(JsonElement Cert, string Fingerprint, string ScopeRoot)> IssueCertAsync(string delegatePkHex, object[] intents, int ttl = 3600, int maxDepth = 16)
    {
        var answer = await RequestAsync(HttpMethod.Post, "/v1/cert/issue", new { delegate_pk_hex = delegatePkHex, intents, ttl_seconds = ttl, max_depth = maxDepth });
        return (answer.GetProperty("cert"), answer.GetProperty("fingerprint_hex").GetString()!, answer.GetProperty("scope_root_hex").GetString()!);
    }

    public async Task<JsonElement> AuthorizeAsync(JsonElement chain, string intentName, string executorPkHex, bool returnToken = false)
    {
        var answer = await RequestAsync(HttpMethod.Post, "/v1/authorize", new { chain, intent_name = intentName, executor_pk_hex = executorPkHex, return_token = returnToken });
        foreach (var member in new[] { "authorized", "chain_depth", "chain_fingerprint", "verified_at_unix" })
        {
            _ = answer.GetProperty(member);
        }

        return answer;
    }

    public Task<JsonElement> AuthorizeBatchAsync(JsonElement chain, string executorPkHex, object[] intents) =>
        RequestAsync(HttpMethod.Post, "/v1/authorize/batch", new { chain, executor_pk_hex = executorPkHex, intents });

    public Task RevokeAsync(string fingerprintHex) => RequestAsync(HttpMethod.Post, "/v1/cert/revoke", new { fingerprint_hex = fingerprintHex });

    public Task<JsonElement> RevokeBatchAsync(string[] fingerprints) => RequestAsync(HttpMethod.Post, "/v1/cert/revoke-batch", new { fingerprints });

    public Task<JsonElement> InspectAsync(string fingerprint) => RequestAsync(HttpMethod.Get, $"/v1/cert/{fingerprint}", null);

    public Task<JsonElement> VerifyTokenAsync(JsonElement token) => RequestAsync(HttpMethod.Post, "/v1/token/verify", new { token });

    public Task<JsonElement> IssuePassportAsync(string @namespace, string[] capabilities, string ttl = "30d") =>
        RequestAsync(HttpMethod.Post, "/v1/passports/issue", new { @namespace, capabilities, ttl });

    public Task<JsonElement> ListPassportsAsync() => RequestAsync(HttpMethod.Get, "/v1/passports/list", null);

    public Task<JsonElement> ReadPassportAsync(string query) => RequestAsync(HttpMethod.Get, $"/v1/passports/read?{query}", null);

    public Task<JsonElement> RenewPassportAsync(string @namespace, string ttl) =>
        RequestAsync(HttpMethod.Post, "/v1/passports/renew", new { ttl, @namespace });

    public Task<JsonElement> RevokePassportAsync(string @namespace) => RequestAsync(HttpMethod.Post, "/v1/passports/revoke-by-namespace", new { @namespace });

    public Task<JsonElement> PassportAuthorizeAsync(JsonElement chain, string intentName, string executorPkHex) => RequestAsync(
        HttpMethod.Post, "/v1/passport/authorize", new { chain, intent_name = intentName, executor_pk_hex = executorPkHex, intent_params = new { } });

    private async Task<JsonElement> RequestAsync(HttpMethod method, string path, object? body)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var request = new HttpRequestMessage(method, path);
            if (body is not null)
            {
                request.Content = new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
            }

            Sent++;
            using var answer = await http.SendAsync(request);
            var text = await answer.Content.ReadAsStringAsync();
            if ((int)answer.StatusCode is 429 or 502 or 503 or 504 && attempt < 3)
            {
                continue; // The pauses are left out.
            }

            return (int)answer.StatusCode < 400 ? JsonElement.Parse(text) : throw new PythonError(PythonJson.ErrorOf(text) ?? text, PythonJson.Member(text, "code"));
        }
    }
}

/// <summary>The Python SDK's <c>PassportClient</c>: success only on 200, a receipt with five members.</summary>
internal sealed class PythonPassportClient(HttpClient http)
{
    public async Task<JsonElement> AuthorizeAsync(JsonElement chain, string intentName, string executorPkHex, object? intentParams = null)
    {
        using var content = new StringContent(
            JsonSerializer.Serialize(new { chain, intent_name = intentName, executor_pk_hex = executorPkHex, intent_params = intentParams ?? new { } }),
            Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync("/v1/passport/authorize", content);
        var text = await answer.Content.ReadAsStringAsync();
        if ((int)answer.StatusCode != 200)
        {
            throw new PythonError(PythonJson.ErrorOf(text) ?? "", PythonJson.Member(text, "error_code") ?? "AUTHORIZATION_FAILED");
        }

        var body = JsonElement.Parse(text);
        var receipt = body.TryGetProperty("receipt", out var nested) ? nested : body;
        foreach (var member in new[] { "passport_namespace", "fingerprint_hex", "capability_mask_hex", "narrowing_commitment_hex", "chain_depth" })
        {
            if (!receipt.TryGetProperty(member, out _))
            {
                throw new PythonError(member, "MALFORMED_RECEIPT");
            }
        }

        return receipt;
    }
}

internal static class PythonJson
{
    public static string? ErrorOf(string text) => Member(text, "error");

    public static string? Member(string text, string name)
    {
        try
        {
            return JsonElement.Parse(text).TryGetProperty(name, out var value) ? value.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
