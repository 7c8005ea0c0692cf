using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>A certificate that somebody asks the gateway for (A1 §14.4).</summary>
public sealed record CertificateOrder(
    Bytes32 Delegate, IReadOnlyList<WantedIntent> Intents, ulong TtlSeconds, byte MaxDepth, CertificateExtensions Extensions);

/// <summary>What an Idempotency-Key is bound to.</summary>
/// <param name="Caller">The caller's token; 0 where none is asked for.</param>
/// <param name="Route">Each has keys of its own.</param>
/// <param name="Key">As it was sent.</param>
/// <param name="Body">The request's body.</param>
public sealed record IdempotentRequest(long Caller, string Route, string Key, ReadOnlyMemory<byte> Body);

/// <summary>Certificates that the gateway signs itself, and revocations (A1 §10, §14.4).</summary>
public sealed class GatewayCertificates(NpgsqlDataSource database, Decisions decisions, GatewayKeys gateway, CapabilityOptions options, TimeProvider time)
{
    /// <summary>The most certificates of one request.</summary>
    public const int BatchMax = 256;

    /// <summary>The most intents of a certificate.</summary>
    public const int IntentsMax = 4096;

    /// <summary>How long the answer to an Idempotency-Key is kept.</summary>
    public const int IdempotentSeconds = 300;

    /// <summary>Issues all of them or none.</summary>
    /// <param name="render">The body of the answer, which is kept with the Idempotency-Key.</param>
    /// <returns>The body, and whether it is that of an earlier request.</returns>
    /// <exception cref="DenialException">An order that A1 refuses.</exception>
    /// <exception cref="CapabilityException">A life that is too long, or a key that was used with another body.</exception>
    public async Task<(byte[] Body, bool IsRepeated)> IssueAsync(
        string actor, IReadOnlyList<CertificateOrder> orders, IdempotentRequest? idempotent, Func<IReadOnlyList<DelegationCertificate>, ulong, byte[]> render,
        CancellationToken cancellation)
    {
        var keys = await gateway.GetAsync(cancellation);
        var now = time.UnixNow();
        if (idempotent is not null && await FindAsync(idempotent, now, cancellation) is { } earlier)
        {
            return (earlier, true);
        }

        var certificates = orders.Select(order => Issue(order, keys, now)).ToArray();
        var body = render(certificates, now);
        try
        {
            await decisions.RunAsync(
                $"a1 {certificates.Length} certificates issued by {actor}: {string.Join(", ", certificates.Select(c => c.Fingerprint()))}",
                async scope =>
                {
                    if (idempotent is not null)
                    {
                        await KeepAsync(scope.Connection, idempotent, body, now, cancellation);
                    }

                    return true;
                },
                cancellation);
            return (body, false);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation && idempotent is not null)
        {
            // Another request with that key was faster; what this one made is thrown away.
            return (await FindAsync(idempotent, now, cancellation) ?? throw new CapabilityException(CapabilityFault.Conflict, "the same request is being answered: try again"), true);
        }
    }

    /// <summary>Revokes certificates by fingerprint, known here or not; there is no way back.</summary>
    public Task RevokeAsync(string actor, IReadOnlyCollection<Bytes32> fingerprints, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 certificates revoked by {actor}: {string.Join(", ", fingerprints)}",
            async scope =>
            {
                await using var command = new NpgsqlCommand(
                    "insert into a1_revocations (fingerprint, revoked_at) select distinct f, $2 from unnest($1) f order by f on conflict do nothing", scope.Connection);
                var revoked = fingerprints.Select(f => f.ToArray()).ToArray();
                command.Parameters.Add(new() { Value = revoked });
                command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
                await command.ExecuteNonQueryAsync(cancellation);
                await GrantTable.EndWorkAsync(scope, revoked, cancellation);
                return true;
            },
            cancellation);

    public async Task<bool> IsRevokedAsync(Bytes32 fingerprint, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select exists (select 1 from a1_revocations where fingerprint = $1)");
        command.Parameters.Add(new() { Value = fingerprint.ToArray() });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private DelegationCertificate Issue(CertificateOrder order, GatewayKey keys, ulong now)
    {
        if (order.TtlSeconds > (ulong)options.CertificateTtlSecondsMax)
        {
            throw CapabilityException.Invalid($"a certificate lives at most {options.CertificateTtlSecondsMax} seconds");
        }

        return new DelegationCertificate
        {
            Delegate = order.Delegate,
            ScopeRoot = IntentTree.Create(order.Intents.Select(i => Intent.Create(i.Name, i.Parameters).Hash)).Root,
            Nonce = PassportTable.NewNonce(),
            IssuedAt = now,
            ExpiresAt = now + order.TtlSeconds,
            MaxDepth = order.MaxDepth,
            Extensions = order.Extensions,
        }.SignedBy(keys.Signing);
    }

    private async Task<byte[]?> FindAsync(IdempotentRequest request, ulong now, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select body, answer from a1_issued where caller = $1 and request = $2 and keep_until >= $3");
        command.Parameters.Add(new() { Value = request.Caller });
        command.Parameters.Add(new() { Value = Digest(request) });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(now) });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        if (!await reader.ReadAsync(cancellation))
        {
            return null;
        }

        return reader.GetFieldValue<byte[]>(0).AsSpan().SequenceEqual(SHA256.HashData(request.Body.Span))
            ? reader.GetFieldValue<byte[]>(1)
            : throw new CapabilityException(CapabilityFault.Conflict, "the Idempotency-Key was used with another body");
    }

    private static async Task KeepAsync(NpgsqlConnection connection, IdempotentRequest request, byte[] answer, ulong now, CancellationToken cancellation)
    {
        await using (var expired = new NpgsqlCommand("delete from a1_issued where caller = $1 and request = $2 and keep_until < $3", connection))
        {
            // What has run out makes room for the same key.
            expired.Parameters.Add(new() { Value = request.Caller });
            expired.Parameters.Add(new() { Value = Digest(request) });
            expired.Parameters.Add(new() { Value = UnixTime.ToStored(now) });
            await expired.ExecuteNonQueryAsync(cancellation);
        }

        await using var command = new NpgsqlCommand(
            "insert into a1_issued (caller, request, body, answer, keep_until) values ($1, $2, $3, $4, $5)", connection);
        command.Parameters.Add(new() { Value = request.Caller });
        command.Parameters.Add(new() { Value = Digest(request) });
        command.Parameters.Add(new() { Value = SHA256.HashData(request.Body.Span) });
        command.Parameters.Add(new() { Value = answer });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(now + IdempotentSeconds) });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static byte[] Digest(IdempotentRequest request) => SHA256.HashData(Encoding.UTF8.GetBytes($"{request.Route}\n{request.Key}"));
}
