using System.Text.Json;
using NSec.Cryptography;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Identity;

namespace Swarm.Api.Protocols.A1;

/// <summary>Swarms and their members (A1 §14.2, §20).</summary>
internal sealed class A1SwarmRoutes(CapabilitySwarms swarms, A1Gate gate, PublicKeys keys, TimeProvider time)
{
    private const ulong SecondsPerDay = 24 * 3600;

    private static readonly byte[][] CreateMembers = WireValues.Names("swarm_name", "capabilities", "ttl_days", "signing_key_hex", "passport");
    private static readonly byte[][] MemberMembers = WireValues.Names("swarm_id", "agent_pk_hex", "role", "capabilities", "ttl_seconds", "signing_key_hex");
    private static readonly byte[][] ChainMembers = WireValues.Names("swarm_id", "agent_pk_hex", "ttl_seconds", "signing_key_hex");
    private static readonly byte[][] AgentMembers = WireValues.Names("swarm_id", "agent_did");
    private static readonly byte[][] SwarmMembers = WireValues.Names("swarm_id");

    /// <summary>How much of a member is shown (A1 §20): exactly what the SDKs read, what A1's gateway writes, or everything.</summary>
    private enum View
    {
        Sdk,
        Native,
        Full,
    }

    public async Task CreateAsync(HttpContext http)
    {
        using var seed = new SigningSeed();
        var request = await A1Wire.ReadAsync(http, (ref reader) => ReadCreate(ref reader, seed), isSecret: true);
        using var key = seed.Open(gate.IsPrivate(http));
        var ttl = request.TtlDays * SecondsPerDay;
        var (id, _) = await swarms.CreateAsync(
            A1Gate.CallerOf(http).Name, request.Name, Split(request.Capabilities), ttl, new(key, request.Passport), http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status201Created, (id, request.Name), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteString("swarm_id"u8, it.id.ToString());
            json.WriteString("swarm_id_hex"u8, it.id.ToString());
            json.WriteString("swarm_name"u8, it.Name);
            json.WriteEndObject();
        });
    }

    public async Task AddMemberAsync(HttpContext http)
    {
        using var seed = new SigningSeed();
        var request = await A1Wire.ReadAsync(http, (ref reader) => ReadMember(ref reader, seed), isSecret: true);
        using var key = seed.Open(gate.IsPrivate(http));
        var agent = A1Wire.ParseKey(request.Agent, "agent_pk_hex", keys);
        try
        {
            var (member, chain) = await swarms.AddMemberAsync(
                A1Gate.CallerOf(http).Name, ParseSwarm(request.Swarm), agent, RoleOf(request), request.TtlSeconds, key, http.RequestAborted);
            await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status201Created, (member, chain, ViewOf(http), Now), static (json, it) =>
            {
                var (member, chain, view, now) = it;
                json.WriteStartObject();
                json.WritePropertyName("member"u8);
                Write(json, member, view, now);
                if (chain is not null)
                {
                    json.WritePropertyName("chain"u8);
                    ChainJson.Write(json, chain);
                }

                json.WriteEndObject();
            });
        }
        catch (CapabilityException e) when (e.Fault == CapabilityFault.SwarmNotFound)
        {
            // Here A1 has no 404 (A1 §14.2).
            throw new A1Refusal(StatusCodes.Status400BadRequest, e.Message, e.Fault.ToString());
        }
    }

    public async Task RemoveMemberAsync(HttpContext http)
    {
        var (swarm, did) = await A1Wire.ReadAsync(http, ReadAgent);
        await swarms.RemoveMemberAsync(A1Gate.CallerOf(http).Name, ParseSwarm(swarm), did, http.RequestAborted);
        await WriteOneAsync(http, "removed", did);
    }

    public async Task DeleteAsync(HttpContext http)
    {
        var swarm = await A1Wire.ReadAsync(http, static (ref reader) => ReadSwarm(ref reader));
        await swarms.DeleteAsync(A1Gate.CallerOf(http).Name, ParseSwarm(swarm), http.RequestAborted);
        await WriteOneAsync(http, "deleted", swarm);
    }

    public async Task ListAsync(HttpContext http)
    {
        var view = ViewOf(http);
        var members = await swarms.ListAsync(ParseSwarm((string)http.GetRouteValue("swarm_id")!), http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (members, view, Now), static (json, it) =>
        {
            var (members, view, now) = it;
            json.WriteStartObject();
            json.WriteStartArray("members"u8);
            foreach (var member in members)
            {
                Write(json, member, view, now);
            }

            json.WriteEndArray();
            json.WriteNumber("count"u8, members.Count);
            json.WriteEndObject();
        });
    }

    public async Task ChainAsync(HttpContext http)
    {
        using var seed = new SigningSeed();
        var request = await A1Wire.ReadAsync(http, (ref reader) => ReadChain(ref reader, seed), isSecret: true);
        using var key = seed.Open(gate.IsPrivate(http));
        var agent = A1Wire.ParseKey(request.Agent, "agent_pk_hex", keys);
        try
        {
            var chain = await swarms.IssueChainAsync(
                A1Gate.CallerOf(http).Name, ParseSwarm(request.Swarm), agent, request.TtlSeconds, key, http.RequestAborted);
            await WriteChainAsync(http, chain);
        }
        catch (DenialException e) when (e.Denial.Kind == DenialKind.PassportNarrowingViolation)
        {
            // A role without capabilities gets no chain: that is no malformed request (A1 §20).
            await A1Errors.WriteAsync(http.Response, StatusCodes.Status403Forbidden, e.Denial);
        }
    }

    public async Task HeartbeatAsync(HttpContext http)
    {
        var (swarm, did) = await A1Wire.ReadAsync(http, ReadAgent);
        var at = await swarms.HeartbeatAsync(ParseSwarm(swarm), did, http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (did, at), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteString("agent_did"u8, it.did);
            json.WriteNumber("last_seen_unix"u8, it.at);
            json.WriteEndObject();
        });
    }

    /// <summary>A chain at the top level, with what its receiver may want to know of its last certificate beside it.</summary>
    internal static Task WriteChainAsync(HttpContext http, SignedChain chain) =>
        AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, chain, static (json, chain) =>
        {
            json.WriteStartObject();
            ChainJson.WriteMembers(json, chain);
            json.WriteString("fingerprint_hex"u8, chain.Certificates[^1].Fingerprint().ToString());
            json.WriteNumber("expires_at_unix"u8, chain.Certificates[^1].ExpiresAt);
            json.WriteEndObject();
        });

    /// <summary>A1 joins the names with commas and splits them again (A1 §14.2), so a name has no comma and no blanks around it.</summary>
    internal static string[] Split(IEnumerable<string> capabilities) =>
        string.Join(',', capabilities).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private ulong Now => (ulong)time.GetUtcNow().ToUnixTimeSeconds();

    private static Task WriteOneAsync(HttpContext http, string member, string text) =>
        AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (member, text), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteString(it.member, it.text);
            json.WriteEndObject();
        });

    private static View ViewOf(HttpContext http) => (string?)http.Request.Query["view"] switch
    {
        null or "" or "sdk" => View.Sdk,
        "native" => View.Native,
        "full" => View.Full,
        _ => throw A1Refusal.Invalid("view is sdk, native or full"),
    };

    private static Bytes32 ParseSwarm(string text) =>
        Bytes32.TryParse(text, out var id) ? id : throw new CapabilityException(CapabilityFault.SwarmNotFound, "swarm not found");

    /// <summary>A1 takes every unknown word for a worker (A1 §16, W7); here it is none.</summary>
    private static SwarmRole RoleOf(MemberRequest request) => request.Role switch
    {
        "orchestrator" => SwarmRole.Orchestrator,
        "auditor" => SwarmRole.Auditor,
        "worker" => SwarmRole.Worker(request.Capabilities),
        "supervisor" => SwarmRole.Supervisor(request.Capabilities, request.TtlSeconds),
        _ => throw A1Refusal.Invalid("role must be orchestrator, supervisor, worker or auditor"),
    };

    private static void Write(Utf8JsonWriter json, CapabilityMember member, View view, ulong now)
    {
        json.WriteStartObject();
        json.WriteString("agent_did"u8, member.Did);
        json.WriteString("agent_pk_hex"u8, member.Agent.ToString());
        if (view == View.Sdk)
        {
            json.WriteString("role"u8, member.Role.Name);
        }
        else
        {
            json.WritePropertyName("role"u8);
            member.Role.Write(json);
        }

        json.WriteNumber("issued_at_unix"u8, member.IssuedAt);
        json.WriteNumber("expires_at_unix"u8, member.ExpiresAt);
        if (view != View.Native || member.Fingerprint is not null)
        {
            json.WriteString("cert_fingerprint_hex"u8, member.Fingerprint?.ToString());
        }

        if (view != View.Sdk)
        {
            json.WriteString("role_commitment"u8, member.Role.Commitment(member.Did, member.IssuedAt).ToString());
        }

        if (view == View.Full)
        {
            WireValues.WriteTexts(json, "capabilities"u8, member.Role.Capabilities);
            json.WriteString("status"u8, member.IsExpired(now) ? "expired"u8 : "active"u8);
            if (member.LastSeen is { } seen)
            {
                json.WriteNumber("last_seen_unix"u8, seen);
            }
            else
            {
                json.WriteNull("last_seen_unix"u8);
            }
        }

        json.WriteEndObject();
    }

    private CreateRequest ReadCreate(ref Utf8JsonReader reader, SigningSeed seed)
    {
        var name = "";
        IReadOnlyList<string> capabilities = [];
        ulong days = 30;
        Passport? passport = null;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(CreateMembers, optional: 0b11100);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    name = WireValues.ReadText(ref reader, "swarm_name");
                    break;
                case 1:
                    capabilities = A1Wire.ReadTexts(ref reader, "capabilities");
                    break;
                case 2:
                    days = WireValues.ReadNumber(ref reader, "ttl_days", uint.MaxValue);
                    break;
                case 3:
                    seed.Read(ref reader);
                    break;
                default:
                    passport = Passport.Read(ref reader, keys);
                    break;
            }
        }

        return new(name, capabilities, days, passport);
    }

    private static MemberRequest ReadMember(ref Utf8JsonReader reader, SigningSeed seed)
    {
        string swarm = "", agent = "", role = "";
        IReadOnlyList<string> capabilities = [];
        ulong ttl = 3600;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(MemberMembers, optional: 0b111000);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    swarm = A1Wire.ReadKeyText(ref reader, "swarm_id");
                    break;
                case 1:
                    agent = A1Wire.ReadKeyText(ref reader, "agent_pk_hex");
                    break;
                case 2:
                    role = WireValues.ReadText(ref reader, "role");
                    break;
                case 3:
                    capabilities = A1Wire.ReadTexts(ref reader, "capabilities");
                    break;
                case 4:
                    ttl = WireValues.ReadNumber(ref reader, "ttl_seconds");
                    break;
                default:
                    seed.Read(ref reader);
                    break;
            }
        }

        return new(swarm, agent, role, capabilities, ttl);
    }

    private static ChainRequest ReadChain(ref Utf8JsonReader reader, SigningSeed seed)
    {
        string swarm = "", agent = "";
        ulong ttl = 3600;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(ChainMembers, optional: 0b1100);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    swarm = A1Wire.ReadKeyText(ref reader, "swarm_id");
                    break;
                case 1:
                    agent = A1Wire.ReadKeyText(ref reader, "agent_pk_hex");
                    break;
                case 2:
                    ttl = WireValues.ReadNumber(ref reader, "ttl_seconds");
                    break;
                default:
                    seed.Read(ref reader);
                    break;
            }
        }

        return new(swarm, agent, ttl);
    }

    private static (string Swarm, string Did) ReadAgent(ref Utf8JsonReader reader)
    {
        string swarm = "", did = "";
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(AgentMembers);
        while (members.Next(ref reader, out var member))
        {
            if (member == 0)
            {
                swarm = A1Wire.ReadKeyText(ref reader, "swarm_id");
            }
            else
            {
                did = WireValues.ReadText(ref reader, "agent_did");
            }
        }

        return (swarm, did);
    }

    private static string ReadSwarm(ref Utf8JsonReader reader)
    {
        var swarm = "";
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(SwarmMembers);
        while (members.Next(ref reader, out _))
        {
            swarm = A1Wire.ReadKeyText(ref reader, "swarm_id");
        }

        return swarm;
    }

    private sealed record CreateRequest(string Name, IReadOnlyList<string> Capabilities, ulong TtlDays, Passport? Passport);

    private sealed record MemberRequest(string Swarm, string Agent, string Role, IReadOnlyList<string> Capabilities, ulong TtlSeconds);

    private sealed record ChainRequest(string Swarm, string Agent, ulong TtlSeconds);
}
