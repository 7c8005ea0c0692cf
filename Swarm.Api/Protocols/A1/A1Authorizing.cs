using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Api.Protocols.A1;

/// <summary>Authorizing, alone and in batches, and the tokens over it (A1 §14.3).</summary>
internal sealed class A1Authorizing(CapabilityGateway gateway, GatewayKeys gatewayKeys, PublicKeys keys)
{
    private const string GoClient = "a1-sdk-go/";

    private static readonly byte[][] Members = WireValues.Names(
        "chain", "intent_name", "executor_pk_hex", "intent_params", "return_token", "request_id", "intent_proof");

    private static readonly byte[][] BatchMembers = WireValues.Names("chain", "executor_pk_hex", "intents");
    private static readonly byte[][] TokenMembers = WireValues.Names("token");

    public async Task AuthorizeAsync(HttpContext http)
    {
        using var body = await A1Wire.BodyAsync(http);
        var (request, returnsToken) = A1Wire.Parse(body.Bytes.Span, Read);
        var form = FormOf(http.Request);
        var gatewayKey = await gatewayKeys.GetAsync(http.RequestAborted);
        byte[] Render(AuthorizationResult result)
        {
            var buffer = new ArrayBufferWriter<byte>(returnsToken ? 1536 : 768);
            Write(buffer, result, returnsToken ? VerifiedToken.Issue(result.Receipt!, gatewayKey.Mac) : null, form);
            return buffer.WrittenSpan.ToArray();
        }

        if (request.RequestId is not null)
        {
            // Of the form too: the same request by another client is answered in that one's.
            request = request with { Digest = SHA256.HashData([(byte)form, .. body.Bytes.Span]), Render = Render };
        }

        // Not to be cancelled by a caller who hangs up: the nonces may be consumed already.
        var outcome = await gateway.AuthorizeAsync(request, CancellationToken.None);
        if (outcome.Earlier is null && outcome.Result.Denial is { } denial)
        {
            await A1Errors.WriteAsync(http.Response, StatusCodes.Status403Forbidden, denial);
            return;
        }

        var answer = outcome.Earlier ?? Render(outcome.Result);
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = answer.Length;
        await http.Response.Body.WriteAsync(answer);
    }

    public async Task AuthorizeBatchAsync(HttpContext http)
    {
        var (chain, executor, intents) = await A1Wire.ReadAsync(http, ReadBatch);
        var (malformed, result) = await gateway.AuthorizeBatchAsync(chain, executor, intents, CancellationToken.None);
        if (malformed is not null)
        {
            await A1Errors.WriteAsync(http.Response, StatusCodes.Status400BadRequest, malformed);
            return;
        }

        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (intents, result!), static (json, it) =>
        {
            var (wanted, result) = it;
            json.WriteStartObject();
            json.WriteBoolean("all_authorized"u8, result.AllAuthorized);
            json.WriteNumber("authorized_count"u8, result.AuthorizedCount);
            json.WriteNumber("total_count"u8, wanted.Count);
            json.WriteStartArray("results"u8);
            for (var i = 0; i < wanted.Count; i++)
            {
                json.WriteStartObject();
                json.WriteString("intent_name"u8, wanted[i].Name);
                json.WriteBoolean("authorized"u8, result.Items[i] is null);
                if (result.Items[i] is { } denial)
                {
                    json.WriteString("error"u8, denial.Text);
                    json.WriteString("error_code"u8, denial.Code);
                    json.WriteString("detail_code"u8, denial.DetailCode);
                }
                else
                {
                    json.WriteString("chain_fingerprint"u8, result.Receipt!.ChainFingerprint.ToString());
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    public async Task VerifyTokenAsync(HttpContext http)
    {
        var token = await A1Wire.ReadAsync(http, ReadToken);
        var gatewayKey = await gatewayKeys.GetAsync(http.RequestAborted);
        var denial = token.Check(gatewayKey.Mac);
        await AgentSwarmErrors.WriteJsonAsync(
            http.Response, denial is null ? StatusCodes.Status200OK : StatusCodes.Status401Unauthorized, (token.Receipt, denial), static (json, it) =>
            {
                var (receipt, denial) = it;
                json.WriteStartObject();
                json.WriteBoolean("valid"u8, denial is null);
                if (denial is null)
                {
                    json.WriteNumber("chain_depth"u8, receipt.ChainDepth);
                    json.WriteString("chain_fingerprint"u8, receipt.ChainFingerprint.ToString());
                    json.WriteNumber("verified_at_unix"u8, receipt.VerifiedAtUnix);
                }
                else
                {
                    json.WriteString("error"u8, denial.Text);
                    json.WriteString("error_code"u8, denial.Code);
                    json.WriteString("code"u8, denial.Code);
                }

                json.WriteEndObject();
            });
    }

    /// <summary>The form of tokens that the caller can read (A1 §20): the Go SDK's, A1's own where it is asked for, else hex.</summary>
    private static TokenForm FormOf(HttpRequest request) =>
        request.Query["token_form"] == "native" ? TokenForm.Native
        : request.Query["token_form"] == "go" || request.Headers.UserAgent is [{ } agent] && agent.StartsWith(GoClient, StringComparison.Ordinal) ? TokenForm.Go
        : TokenForm.Hex;

    private static void Write(ArrayBufferWriter<byte> output, AuthorizationResult result, VerifiedToken? token, TokenForm form)
    {
        using var json = new Utf8JsonWriter(output);
        var receipt = result.Receipt!;
        json.WriteStartObject();
        json.WriteBoolean("authorized"u8, true);
        json.WriteNumber("chain_depth"u8, receipt.ChainDepth);
        json.WriteString("chain_fingerprint"u8, receipt.ChainFingerprint.ToString());
        json.WriteNumber("verified_at_unix"u8, receipt.VerifiedAtUnix);
        json.WriteNull("error_code"u8);
        json.WritePropertyName("receipt"u8);
        result.GatewayReceipt!.Write(json);
        if (token is not null)
        {
            json.WritePropertyName("token"u8);
            token.Write(json, form);
        }

        json.WriteEndObject();
    }

    private (AuthorizeRequest Request, bool ReturnsToken) Read(ref Utf8JsonReader reader)
    {
        SignedChain? chain = null;
        string name = "", executor = "";
        string? requestId = null;
        var returnsToken = false;
        IReadOnlyCollection<KeyValuePair<string, string>>? parameters = null;
        MerkleProof? proof = null;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(Members, optional: 0b1111000);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    chain = ChainJson.Read(ref reader, keys);
                    break;
                case 1:
                    name = WireValues.ReadText(ref reader, "intent_name");
                    break;
                case 2:
                    executor = A1Wire.ReadKeyText(ref reader, "executor_pk_hex");
                    break;
                case 3:
                    parameters = A1Wire.ReadParameters(ref reader, "intent_params");
                    break;
                case 4:
                    returnsToken = WireValues.ReadTruth(ref reader, "return_token");
                    break;
                case 5:
                    requestId = A1Wire.ReadTextOrNull(ref reader, "request_id");
                    break;
                default:
                    proof = CertificateJson.ReadProof(ref reader);
                    break;
            }
        }

        return requestId is { Length: > CapabilityGateway.RequestIdLengthMax }
            ? throw new ShapeException($"request_id: at most {CapabilityGateway.RequestIdLengthMax} characters")
            : (new(chain!, executor, new(name, parameters, proof), requestId), returnsToken);
    }

    private (SignedChain Chain, string Executor, List<WantedIntent> Intents) ReadBatch(ref Utf8JsonReader reader)
    {
        SignedChain? chain = null;
        var executor = "";
        List<WantedIntent> intents = [];
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(BatchMembers);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    chain = ChainJson.Read(ref reader, keys);
                    break;
                case 1:
                    executor = A1Wire.ReadKeyText(ref reader, "executor_pk_hex");
                    break;
                default:
                    intents = A1Wire.ReadList(ref reader, "intents", A1Limits.ItemsMax, A1Wire.ReadIntent);
                    break;
            }
        }

        return (chain!, executor, intents);
    }

    /// <summary>In its wrapper as Python sends it, or bare as the others do.</summary>
    private static VerifiedToken ReadToken(ref Utf8JsonReader reader)
    {
        MemberReader.Open(ref reader, "body");
        var bare = reader;
        VerifiedToken? token = null;
        var members = new MemberReader(TokenMembers, optional: 1);
        while (members.Next(ref reader, out _))
        {
            token = VerifiedToken.Read(ref reader);
        }

        return token ?? VerifiedToken.Read(ref bare);
    }
}
