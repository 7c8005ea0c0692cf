using System.Text;
using System.Text.Json;

namespace Swarm.Tests.Capabilities.Sdk;

/// <summary>An error of the TypeScript SDK.</summary>
internal sealed class TypeScriptError(string text, string? code) : Exception(text)
{
    public string? Code => code;
}

/// <summary>The TypeScript SDK's <c>SwarmClient</c> (A1 §14.7): the bearer on every request, every success body JSON, errors from <c>error</c>.</summary>
internal sealed class TypeScriptSwarmClient(HttpClient http, string baseUrl, string adminSecret)
{
    public async Task<string> CreateSwarmAsync(string name, string[] capabilities, string signingKeyHex, int ttlDays = 30) =>
        (await RequestAsync(HttpMethod.Post, "/v1/swarm/create", new { swarm_name = name, capabilities, ttl_days = ttlDays, signing_key_hex = signingKeyHex }))
            .GetProperty("swarm_id").GetString()!;

    public async Task<(string AgentDid, string Role, string? CertFingerprintHex)> AddMemberAsync(
        string swarmId, string agentPkHex, string role, string[] capabilities, string signingKeyHex, int ttlSeconds = 3600) =>
        Map((await RequestAsync(HttpMethod.Post, "/v1/swarm/member/add", new
        {
            swarm_id = swarmId, agent_pk_hex = agentPkHex, role, capabilities, ttl_seconds = ttlSeconds, signing_key_hex = signingKeyHex,
        })).GetProperty("member"));

    public Task<JsonElement> GetChainAsync(string swarmId, string agentPkHex, string signingKeyHex, int ttlSeconds = 3600) => RequestAsync(
        HttpMethod.Post, "/v1/swarm/member/chain", new { swarm_id = swarmId, agent_pk_hex = agentPkHex, ttl_seconds = ttlSeconds, signing_key_hex = signingKeyHex });

    public async Task<(string AgentDid, string Role, string? CertFingerprintHex)[]> ListMembersAsync(string swarmId) =>
        [.. (await RequestAsync(HttpMethod.Get, $"/v1/swarm/{swarmId}/members", null)).GetProperty("members").EnumerateArray().Select(Map)];

    public Task RemoveMemberAsync(string swarmId, string agentDid) =>
        RequestAsync(HttpMethod.Post, "/v1/swarm/member/remove", new { swarm_id = swarmId, agent_did = agentDid });

    private static (string AgentDid, string Role, string? CertFingerprintHex) Map(JsonElement member) => (
        member.GetProperty("agent_did").GetString()!, member.GetProperty("role").GetString()!, member.GetProperty("cert_fingerprint_hex").GetString());

    private async Task<JsonElement> RequestAsync(HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, baseUrl + path);
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {adminSecret}");
        request.Content = new StringContent(body is null ? "" : JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        using var answer = await http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? JsonElement.Parse(text) : throw new TypeScriptError(PythonJson.ErrorOf(text) ?? answer.ReasonPhrase!, null);
    }
}

/// <summary>
/// The TypeScript SDK's <c>A1Client</c>: validates answers, and sends again on every failure, denials included, up to three times. A body that is no
/// JSON, or an answer of another shape than it expects, fails like a denial.
/// </summary>
internal sealed class TypeScriptA1Client(HttpClient http, string? bearer)
{
    /// <summary>Requests sent, retries included.</summary>
    public int Sent { get; private set; }

    public Task<JsonElement> WellKnownAsync() => CallAsync(HttpMethod.Get, "/.well-known/a1-configuration", null, answer => Texts(
        answer, "issuer", "gateway_signing_pk_hex", "authorization_endpoint", "batch_authorize_endpoint", "cert_issuance_endpoint", "cert_revoke_endpoint",
        "cert_revoke_batch_endpoint", "token_verify_endpoint", "a1_version") && answer.GetProperty("supported_algorithms").ValueKind == JsonValueKind.Array);

    public Task<JsonElement> HealthAsync() => CallAsync(HttpMethod.Get, "/health", null, answer => Texts(answer, "status", "version"));

    public Task<JsonElement> IssueCertAsync(string delegatePkHex, object[] intents) =>
        CallAsync(HttpMethod.Post, "/v1/cert/issue", new { delegate_pk_hex = delegatePkHex, intents }, answer => Texts(answer, "fingerprint_hex", "scope_root_hex"));

    public Task<JsonElement> RevokeCertAsync(string fingerprintHex) =>
        CallAsync(HttpMethod.Post, "/v1/cert/revoke", new { fingerprint_hex = fingerprintHex }, answer => answer.ValueKind == JsonValueKind.Object);

    public Task<JsonElement> RevokeCertsBatchAsync(string[] fingerprints) => CallAsync(
        HttpMethod.Post, "/v1/cert/revoke-batch", new { fingerprints },
        answer => Numbers(answer, "revoked_count") && answer.GetProperty("failed").ValueKind == JsonValueKind.Array);

    public Task<JsonElement> InspectCertAsync(string fingerprint) =>
        CallAsync(HttpMethod.Get, $"/v1/cert/{fingerprint}", null, answer => Texts(answer, "fingerprint") && IsTruth(answer, "revoked"));

    public Task<JsonElement> AuthorizeAsync(JsonElement chain, string intentName, string executorPkHex, bool? returnToken = null, string? requestId = null)
    {
        var body = new Dictionary<string, object> { ["chain"] = chain, ["intent_name"] = intentName, ["executor_pk_hex"] = executorPkHex };
        if (returnToken is { } token)
        {
            body["return_token"] = token;
        }

        if (requestId is not null)
        {
            body["request_id"] = requestId;
        }

        return CallAsync(HttpMethod.Post, "/v1/authorize", body, answer =>
            IsTruth(answer, "authorized") && Numbers(answer, "chain_depth", "verified_at_unix") && Texts(answer, "chain_fingerprint")
            && (!answer.TryGetProperty("token", out var given) || IsToken(given)));
    }

    public Task<JsonElement> AuthorizeBatchAsync(JsonElement chain, string executorPkHex, object[] intents) => CallAsync(
        HttpMethod.Post, "/v1/authorize/batch", new { chain, executor_pk_hex = executorPkHex, intents }, answer =>
            IsTruth(answer, "all_authorized") && Numbers(answer, "authorized_count", "total_count")
            && answer.GetProperty("results").EnumerateArray().All(item => Texts(item, "intent_name") && IsTruth(item, "authorized")));

    /// <summary>Keeps five members of the receipt, and posts the token bare.</summary>
    public Task<JsonElement> VerifyTokenAsync(JsonElement token)
    {
        var receipt = token.GetProperty("receipt");
        return CallAsync(
            HttpMethod.Post, "/v1/token/verify",
            new
            {
                receipt = new
                {
                    chain_depth = receipt.GetProperty("chain_depth"), verified_scope_root = receipt.GetProperty("verified_scope_root"),
                    intent = receipt.GetProperty("intent"), verified_at_unix = receipt.GetProperty("verified_at_unix"),
                    chain_fingerprint = receipt.GetProperty("chain_fingerprint"),
                },
                mac = token.GetProperty("mac"),
            },
            answer => IsTruth(answer, "valid") && Numbers(answer, "chain_depth", "verified_at_unix") && Texts(answer, "chain_fingerprint"));
    }

    private static bool IsToken(JsonElement token) =>
        Texts(token, "mac") && token.GetProperty("receipt") is var receipt
        && Texts(receipt, "verified_scope_root", "intent", "chain_fingerprint") && Numbers(receipt, "chain_depth", "verified_at_unix");

    private static bool Texts(JsonElement answer, params string[] members) => Are(answer, JsonValueKind.String, members);

    private static bool Numbers(JsonElement answer, params string[] members) => Are(answer, JsonValueKind.Number, members);

    private static bool Are(JsonElement answer, JsonValueKind kind, string[] members) =>
        members.All(member => answer.TryGetProperty(member, out var value) && value.ValueKind == kind);

    private static bool IsTruth(JsonElement answer, string member) =>
        answer.TryGetProperty(member, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False;

    private async Task<JsonElement> CallAsync(HttpMethod method, string path, object? body, Func<JsonElement, bool> isValid)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await OnceAsync(method, path, body, isValid);
            }
            catch (Exception e) when (attempt < 3 && e is TypeScriptError or JsonException)
            {
                // The pauses are left out.
            }
        }
    }

    private async Task<JsonElement> OnceAsync(HttpMethod method, string path, object? body, Func<JsonElement, bool> isValid)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        if (bearer is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {bearer}");
        }

        request.Content = new StringContent(body is null ? "" : JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        Sent++;
        using var answer = await http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        var json = text.Length == 0 ? default : JsonElement.Parse(text);
        if (!answer.IsSuccessStatusCode)
        {
            throw new TypeScriptError(json.GetProperty("error").GetString()!, json.GetProperty("error_code").GetString());
        }

        return isValid(json) ? json : throw new TypeScriptError($"{path} has another shape: {text}", "INVALID_RESPONSE");
    }
}

/// <summary>The TypeScript SDK's <c>PassportClient</c>: four members always, any 2xx, missing members read as "" or 0.</summary>
internal sealed class TypeScriptPassportClient(HttpClient http)
{
    public async Task<(string Namespace, string Fingerprint, int Depth)> AuthorizeAsync(JsonElement chain, string intentName, string executorPkHex)
    {
        using var content = new StringContent(
            JsonSerializer.Serialize(new { chain, intent_name = intentName, executor_pk_hex = executorPkHex, intent_params = new { } }), Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync("/v1/passport/authorize", content);
        var body = JsonElement.Parse(await answer.Content.ReadAsStringAsync());
        if (!answer.IsSuccessStatusCode)
        {
            throw new TypeScriptError(
                body.TryGetProperty("error", out var error) ? error.GetString()! : $"HTTP {(int)answer.StatusCode}", body.GetProperty("error_code").GetString());
        }

        var receipt = body.TryGetProperty("receipt", out var nested) ? nested : body;
        return (
            receipt.TryGetProperty("passport_namespace", out var name) ? name.GetString()! : "",
            receipt.TryGetProperty("fingerprint_hex", out var print) ? print.GetString()! : "",
            receipt.TryGetProperty("chain_depth", out var depth) ? depth.GetInt32() : 0);
    }
}
