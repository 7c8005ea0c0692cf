using System.Globalization;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Identity;

namespace Swarm.Api.Protocols.A1;

/// <summary>The life of passports over HTTP (A1 §14.5): A1's paths and members, an operator's token, and keys that can be used.</summary>
internal sealed class A1PassportRoutes(Passports passports, A1Gate gate, PublicKeys keys, TimeProvider time)
{
    private const string Directory = "passports";
    private const long SecondsPerDay = 24 * 3600;

    private static readonly byte[][] IssueMembers = WireValues.Names("namespace", "capabilities", "ttl", "output_path", "signing_key_hex", "passport");
    private static readonly byte[][] RenewMembers = WireValues.Names("path", "namespace", "ttl", "signing_key_hex");
    private static readonly byte[][] RevokeMembers = WireValues.Names("namespace", "passport_path");
    private static readonly byte[][] RestoreMembers = WireValues.Names("passports");
    private static readonly byte[][] RestoredMembers = WireValues.Names("content", "namespace", "path");
    private static readonly byte[][] ChainMembers = WireValues.Names("agent_pk_hex", "capabilities", "path", "namespace", "ttl_seconds", "signing_key_hex");

    public async Task IssueAsync(HttpContext http)
    {
        using var seed = new SigningSeed();
        var request = await A1Wire.ReadAsync(http, (ref reader) => ReadIssue(ref reader, seed), isSecret: true);
        using var key = seed.Open(gate.IsPrivate(http));
        try
        {
            var capabilities = A1SwarmRoutes.Split(request.Capabilities);
            if (string.IsNullOrWhiteSpace(request.Namespace) || capabilities.Length == 0)
            {
                throw A1Refusal.Invalid(string.IsNullOrWhiteSpace(request.Namespace) ? "namespace is required" : "at least one capability is required");
            }

            var ttl = ParseTtl(request.Ttl);
            var path = request.Path is { Length: > 0 } given && Passports.IsFileName(given) ? given : Passports.FileNameOf(request.Namespace);
            var issued = await passports.IssueAsync(
                A1Gate.CallerOf(http).Name, request.Namespace, capabilities, ttl, path, new(key, request.Passport), http.RequestAborted);
            await WriteIssuedAsync(http, StatusCodes.Status200OK, issued, null);
        }
        catch (Exception e) when (CauseOf(e) is not null)
        {
            await WriteIssuedAsync(http, StatusCodes.Status200OK, null, e);
        }
    }

    public async Task ListAsync(HttpContext http)
    {
        var all = await passports.ListAsync(http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (all, Now), static (json, it) =>
        {
            var (all, now) = it;
            json.WriteStartObject();
            json.WriteStartArray("passports"u8);
            foreach (var passport in all)
            {
                var expiry = passport.Passport.Root.ExpiresAt;
                json.WriteStartObject();
                json.WriteString("filename"u8, passport.FileName);
                json.WriteString("path"u8, passport.FileName);
                json.WriteString("namespace"u8, passport.Passport.Namespace);
                WireValues.WriteTexts(json, "capabilities"u8, passport.Passport.Capabilities);
                json.WriteNumber("expiration_unix"u8, expiry);
                json.WriteString("status"u8, expiry > now ? "valid"u8 : "expired"u8);
                json.WriteString("fingerprint_hex"u8, passport.Fingerprint.ToString());
                json.WriteNumber("days_remaining"u8, expiry > now ? (expiry - now) / SecondsPerDay : 0);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteString("directory"u8, Directory);
            json.WriteEndObject();
        });
    }

    public async Task ReadAsync(HttpContext http)
    {
        var found = await passports.GetAsync(FileOf(http.Request.Query["path"], http.Request.Query["namespace"]), http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, found.Passport, static (json, passport) => passport.Write(json));
    }

    public async Task RenewAsync(HttpContext http)
    {
        using var seed = new SigningSeed();
        var request = await A1Wire.ReadAsync(http, (ref reader) => ReadRenew(ref reader, seed), isSecret: true);
        using var key = seed.Open(gate.IsPrivate(http));
        try
        {
            var renewed = await passports.RenewAsync(
                A1Gate.CallerOf(http).Name, FileOf(request.Path, request.Namespace), ParseTtl(request.Ttl), key, http.RequestAborted);
            await WriteIssuedAsync(http, StatusCodes.Status200OK, renewed, null);
        }
        catch (Exception e) when (CauseOf(e) is not null)
        {
            var status = e is CapabilityException refused ? A1Errors.Of(refused).Status : e is A1Refusal own ? own.Status : StatusCodes.Status400BadRequest;
            await WriteIssuedAsync(http, status, null, e);
        }
    }

    public async Task RevokeAsync(HttpContext http)
    {
        var (@namespace, path) = await A1Wire.ReadAsync(http, ReadRevoke);
        StoredPassport? revoked = null;
        Exception? refusal = null;
        try
        {
            var file = FileOf(path, @namespace);
            if ((await passports.GetAsync(file, http.RequestAborted)).Passport.Namespace != @namespace)
            {
                throw new CapabilityException(CapabilityFault.PassportNotFound, "passport not found");
            }

            revoked = await passports.RevokeAsync(A1Gate.CallerOf(http).Name, file, http.RequestAborted);
        }
        catch (Exception e) when (CauseOf(e) is not null)
        {
            refusal = e;
        }

        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (revoked, refusal), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteBoolean("success"u8, it.refusal is null);
            json.WriteString("namespace"u8, it.revoked?.Passport.Namespace ?? "");
            json.WriteString("fingerprint_hex"u8, it.revoked?.Fingerprint.ToString() ?? "");
            WriteError(json, it.refusal);
            json.WriteEndObject();
        });
    }

    public async Task RestoreAsync(HttpContext http)
    {
        var all = await A1Wire.ReadAsync(http, ReadRestore);
        var restored = 0;
        foreach (var (passport, path) in all)
        {
            if (passport is not null
                && Passports.IsFileName(path ?? Passports.FileNameOf(passport.Namespace))
                && await passports.RestoreAsync(A1Gate.CallerOf(http).Name, passport, path ?? Passports.FileNameOf(passport.Namespace), http.RequestAborted) is not null)
            {
                restored++;
            }
        }

        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (restored, all.Count - restored), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteBoolean("success"u8, true);
            json.WriteNumber("restored"u8, it.restored);
            json.WriteNumber("skipped"u8, it.Item2);
            json.WriteNull("error"u8);
            json.WriteEndObject();
        });
    }

    /// <summary>Beyond A1, whose passports can never delegate: a chain for an agent, by the key that the node holds or that comes with the request.</summary>
    public async Task ChainAsync(HttpContext http)
    {
        using var seed = new SigningSeed();
        var request = await A1Wire.ReadAsync(http, (ref reader) => ReadChain(ref reader, seed), isSecret: true);
        using var key = seed.Open(gate.IsPrivate(http));
        var agent = A1Wire.ParseKey(request.Agent, "agent_pk_hex", keys);
        var chain = await passports.IssueChainAsync(
            A1Gate.CallerOf(http).Name, FileOf(request.Path, request.Namespace), agent, request.Capabilities, request.TtlSeconds, key, http.RequestAborted);
        await A1SwarmRoutes.WriteChainAsync(http, chain);
    }

    private ulong Now => (ulong)time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>30d, 12h, 90m, 1y, or seconds.</summary>
    internal static ulong ParseTtl(string text)
    {
        var unit = text.Length == 0 ? 0UL : text[^1] switch { 'y' => 365UL * (ulong)SecondsPerDay, 'd' => (ulong)SecondsPerDay, 'h' => 3600, 'm' => 60, 's' => 1, _ => 0UL };
        var digits = unit == 0 ? text : text[..^1];
        if (!ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            || count == 0 || count > ulong.MaxValue / Math.Max(1, unit))
        {
            throw A1Refusal.Invalid("ttl must be a number of seconds, or like 30d, 12h, 90m, 1y, and not 0");
        }

        return count * Math.Max(1, unit);
    }

    /// <summary>The exact cause of a refusal (A1 §20); null for what is none.</summary>
    private static string? CauseOf(Exception e) => e switch
    {
        DenialException denied => denied.Denial.DetailCode,
        CapabilityException refused => refused.Fault.ToString(),
        A1Refusal own => own.Detail,
        _ => null,
    };

    private static void WriteError(Utf8JsonWriter json, Exception? refusal)
    {
        json.WriteString("error"u8, refusal?.Message);
        if (refusal is not null)
        {
            json.WriteString("detail_code"u8, CauseOf(refusal));
        }
    }

    /// <summary>A file of the one folder, by its name or by its namespace.</summary>
    private static string FileOf(string? path, string? @namespace) =>
        !string.IsNullOrEmpty(path)
            ? Passports.IsFileName(path) ? path : throw new A1Refusal(StatusCodes.Status403Forbidden, "path must be the name of a passport's file", "OutsideTheFolder")
        : !string.IsNullOrEmpty(@namespace) ? Passports.FileNameOf(@namespace)
        : throw A1Refusal.Invalid("path required");

    private static Task WriteIssuedAsync(HttpContext http, int status, StoredPassport? issued, Exception? refusal) =>
        AgentSwarmErrors.WriteJsonAsync(http.Response, status, (issued, refusal), static (json, it) =>
        {
            var root = it.issued?.Passport.Root;
            json.WriteStartObject();
            json.WriteBoolean("success"u8, it.issued is not null);
            json.WriteString("namespace"u8, it.issued?.Passport.Namespace ?? "");
            json.WriteString("path"u8, it.issued?.FileName ?? "");
            json.WriteString("public_key_hex"u8, it.issued?.Holder.ToString() ?? "");
            WireValues.WriteTexts(json, "capabilities"u8, it.issued?.Passport.Capabilities ?? []);
            json.WriteNumber("ttl_seconds"u8, root is null ? 0 : root.ExpiresAt - root.IssuedAt);
            json.WriteString("expires_at"u8, root is null ? "" : TextOf(root.ExpiresAt));
            WriteError(json, it.refusal);
            json.WriteEndObject();
        });

    private static string TextOf(ulong unix) => unix <= (ulong)DateTimeOffset.MaxValue.ToUnixTimeSeconds()
        ? DateTimeOffset.FromUnixTimeSeconds((long)unix).ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture)
        : "never";

    private IssueRequest ReadIssue(ref Utf8JsonReader reader, SigningSeed seed)
    {
        string @namespace = "", ttl = "";
        string? path = null;
        IReadOnlyList<string> capabilities = [];
        Passport? passport = null;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(IssueMembers, optional: 0b111000);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    @namespace = WireValues.ReadText(ref reader, "namespace");
                    break;
                case 1:
                    capabilities = A1Wire.ReadTexts(ref reader, "capabilities");
                    break;
                case 2:
                    ttl = WireValues.ReadText(ref reader, "ttl");
                    break;
                case 3:
                    path = A1Wire.ReadTextOrNull(ref reader, "output_path");
                    break;
                case 4:
                    seed.Read(ref reader);
                    break;
                default:
                    passport = Passport.Read(ref reader, keys);
                    break;
            }
        }

        return new(@namespace, capabilities, ttl, path, passport);
    }

    private static RenewRequest ReadRenew(ref Utf8JsonReader reader, SigningSeed seed)
    {
        string? path = null, @namespace = null;
        var ttl = "";
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(RenewMembers, optional: 0b1011);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    path = A1Wire.ReadTextOrNull(ref reader, "path");
                    break;
                case 1:
                    @namespace = A1Wire.ReadTextOrNull(ref reader, "namespace");
                    break;
                case 2:
                    ttl = WireValues.ReadText(ref reader, "ttl");
                    break;
                default:
                    seed.Read(ref reader);
                    break;
            }
        }

        return path is null && @namespace is null ? throw new ShapeException("path: the member is missing") : new(path, @namespace, ttl);
    }

    private static (string Namespace, string? Path) ReadRevoke(ref Utf8JsonReader reader)
    {
        var @namespace = "";
        string? path = null;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(RevokeMembers, optional: 0b10);
        while (members.Next(ref reader, out var member))
        {
            if (member == 0)
            {
                @namespace = WireValues.ReadText(ref reader, "namespace");
            }
            else
            {
                path = A1Wire.ReadTextOrNull(ref reader, "passport_path");
            }
        }

        return (@namespace, path);
    }

    private List<(Passport? Passport, string? Path)> ReadRestore(ref Utf8JsonReader reader)
    {
        List<(Passport?, string?)> all = [];
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(RestoreMembers);
        while (members.Next(ref reader, out _))
        {
            all = A1Wire.ReadList(ref reader, "passports", A1Limits.RestoreMax, ReadRestored);
        }

        return all;
    }

    /// <summary>One file; what is in it need not be a passport.</summary>
    private (Passport? Passport, string? Path) ReadRestored(ref Utf8JsonReader reader)
    {
        byte[]? content = null;
        string? @namespace = null, path = null;
        MemberReader.Open(ref reader, "passports");
        var members = new MemberReader(RestoredMembers, optional: 0b110);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0 when reader.TokenType == JsonTokenType.String:
                    content = Encoding.UTF8.GetBytes(WireValues.ReadText(ref reader, "content"));
                    break;
                case 0:
                    content = ReadRaw(ref reader);
                    break;
                case 1:
                    @namespace = A1Wire.ReadTextOrNull(ref reader, "namespace");
                    break;
                default:
                    path = A1Wire.ReadTextOrNull(ref reader, "path");
                    break;
            }
        }

        return (ParsePassport(content!), @namespace is not null ? Passports.FileNameOf(@namespace) : path);
    }

    private static byte[] ReadRaw(ref Utf8JsonReader reader)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            document.RootElement.WriteTo(json);
        }

        return buffer.WrittenSpan.ToArray();
    }

    private Passport? ParsePassport(byte[] content)
    {
        try
        {
            return A1Wire.Parse(content, (ref reader) => Passport.Read(ref reader, keys));
        }
        catch (Exception e) when (e is JsonException or ShapeException)
        {
            return null;
        }
    }

    private static ChainRequest ReadChain(ref Utf8JsonReader reader, SigningSeed seed)
    {
        var agent = "";
        IReadOnlyList<string> capabilities = [];
        string? path = null, @namespace = null;
        ulong ttl = 3600;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(ChainMembers, optional: 0b111100);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    agent = A1Wire.ReadKeyText(ref reader, "agent_pk_hex");
                    break;
                case 1:
                    capabilities = A1Wire.ReadTexts(ref reader, "capabilities");
                    break;
                case 2:
                    path = A1Wire.ReadTextOrNull(ref reader, "path");
                    break;
                case 3:
                    @namespace = A1Wire.ReadTextOrNull(ref reader, "namespace");
                    break;
                case 4:
                    ttl = WireValues.ReadNumber(ref reader, "ttl_seconds");
                    break;
                default:
                    seed.Read(ref reader);
                    break;
            }
        }

        return new(agent, capabilities, path, @namespace, ttl);
    }

    private sealed record IssueRequest(string Namespace, IReadOnlyList<string> Capabilities, string Ttl, string? Path, Passport? Passport);

    private sealed record RenewRequest(string? Path, string? Namespace, string Ttl);

    private sealed record ChainRequest(string Agent, IReadOnlyList<string> Capabilities, string? Path, string? Namespace, ulong TtlSeconds);
}
