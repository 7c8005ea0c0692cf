using System.Text.Json;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Identity;
using Swarm.ServiceDefaults;

namespace Swarm.Api.Protocols.A1;

/// <summary>What the gateway is and where its routes are (A1 §14.6). Only what is there is named.</summary>
internal sealed class A1Discovery(GatewayKeys gateway, AgentOptions node, CapabilityOptions options) : IHealthMembers
{
    private const string Version = "2.8.0";

    private static readonly (string Member, string Path)[] Endpoints =
    [
        ("authorization_endpoint", "/v1/authorize"), ("batch_authorize_endpoint", "/v1/authorize/batch"),
        ("passport_authorize_endpoint", "/v1/passport/authorize"), ("cert_issuance_endpoint", "/v1/cert/issue"),
        ("cert_revoke_endpoint", "/v1/cert/revoke"), ("cert_revoke_batch_endpoint", "/v1/cert/revoke-batch"),
        ("token_verify_endpoint", "/v1/token/verify"), ("crl_endpoint", "/v1/cert/revoke-batch"),
    ];

    public async Task DescribeAsync(HttpContext http)
    {
        var key = await gateway.GetAsync(http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (node.PublicUrl.TrimEnd('/'), key), static (json, it) =>
        {
            var (url, key) = it;
            json.WriteStartObject();
            json.WriteString("issuer"u8, url);
            json.WriteString("gateway_signing_pk_hex"u8, key.PublicKey.ToString());
            json.WriteString("gateway_did"u8, A1Swarm.DidOf(key.PublicKey));
            foreach (var (member, path) in Endpoints)
            {
                json.WriteString(member, url + path);
            }

            json.WriteString("a1_version"u8, Version);
            json.WriteString("protocol_enforcer"u8, A1Gate.Protocol);
            WriteList(json, "supported_algorithms"u8, "Ed25519");
            WriteList(json, "supported_features"u8, "delegation", "passports");
            WriteList(json, "supported_networks"u8);
            WriteFlags(json);
            json.WriteEndObject();
        });
    }

    /// <summary>In <c>/health</c>, beside the node's own; the key as soon as the database has given it.</summary>
    public void Write(Utf8JsonWriter json)
    {
        if (!options.Enabled)
        {
            return;
        }

        if (gateway.Current is { } key)
        {
            json.WriteString("signing_pk_hex"u8, key.PublicKey.ToString());
        }

        json.WriteString("version"u8, Version);
        WriteFlags(json);
        json.WriteString("storage_backend"u8, "postgres");
    }

    private static void WriteFlags(Utf8JsonWriter json)
    {
        json.WriteBoolean("webhook_enabled"u8, false);
        json.WriteBoolean("jwt_exchange_enabled"u8, false);
        json.WriteBoolean("multi_tenant_enabled"u8, false);
    }

    private static void WriteList(Utf8JsonWriter json, ReadOnlySpan<byte> name, params string[] items)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
        {
            json.WriteStringValue(item);
        }

        json.WriteEndArray();
    }
}
