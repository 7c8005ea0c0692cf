using NSec.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>A passport that this node knows.</summary>
/// <param name="No">Its row.</param>
/// <param name="Passport">Checked when it came in.</param>
/// <param name="SealedSeed">The holder's key, if the node keeps it.</param>
/// <param name="FileName">By which A1's clients know it; null for a swarm's.</param>
public sealed record StoredPassport(long No, Passport Passport, byte[]? SealedSeed, string? FileName)
{
    public Bytes32 Fingerprint { get; } = Passport.Root.Fingerprint();

    public Bytes32 Holder => Passport.Root.Delegate;
}

/// <summary>Who holds a passport: a key that came with the request, a passport that its client made, or, with neither, this node.</summary>
/// <param name="Key">The caller's, who disposes it.</param>
/// <param name="Made">Self-signed.</param>
public readonly record struct PassportHolder(Key? Key, Passport? Made = null);

/// <summary>The rows that passports and swarms share: passports, and every certificate that their keys issued here.</summary>
public sealed class PassportTable(KeyVault vault, PublicKeys keys, CapabilityOptions options, TimeProvider time)
{
    private const ulong ToleranceSeconds = 15;

    /// <summary>A new passport, with the sealed seed if the node holds the key.</summary>
    /// <exception cref="DenialException">A1's own refusals: no capabilities, a life of 0 seconds, too much text, a made passport that does not hold.</exception>
    /// <exception cref="CapabilityException">The life is too long, or the made passport is another than the one asked for.</exception>
    internal (Passport Passport, byte[]? Sealed) Make(string @namespace, IReadOnlyList<string> capabilities, ulong ttlSeconds, PassportHolder holder)
    {
        if (ttlSeconds > (ulong)options.PassportTtlSecondsMax)
        {
            throw CapabilityException.Invalid($"a passport lives at most {options.PassportTtlSecondsMax} seconds");
        }

        var now = time.UnixNow();
        if (holder.Made is { } made)
        {
            if (made.Check(keys, now, ToleranceSeconds) is { } wrong)
            {
                throw new DenialException(wrong);
            }

            return made.Namespace == @namespace && made.Capabilities.SequenceEqual(capabilities)
                ? (made, null)
                : throw CapabilityException.Invalid("passport: its namespace and capabilities are not those of the request");
        }

        if (holder.Key is { } given)
        {
            return (Passport.Issue(@namespace, capabilities, given, now, ttlSeconds, NewNonce()), null);
        }

        var (key, sealedSeed) = vault.NewKey();
        using (key)
        {
            return (Passport.Issue(@namespace, capabilities, key, now, ttlSeconds, NewNonce()), sealedSeed);
        }
    }

    /// <summary>How long a certificate lives that is asked to live so long, its passport's end aside.</summary>
    internal ulong LifeOf(ulong ttlSeconds) => Math.Min(ttlSeconds, (ulong)options.CertificateTtlSecondsMax);

    /// <summary>Runs something with the holder's key: the given one if it is that, else the node's.</summary>
    /// <exception cref="CapabilityException"><see cref="CapabilityFault.NotTheOwner"/> or <see cref="CapabilityFault.KeyNotHeld"/>.</exception>
    internal T WithKey<T>(StoredPassport passport, Key? given, Func<Key, T> use)
    {
        if (given is not null)
        {
            return given.Public() == passport.Holder ? use(given) : throw new CapabilityException(CapabilityFault.NotTheOwner, "the signing key is not the owner's");
        }

        if (passport.SealedSeed is not { } sealedSeed)
        {
            throw new CapabilityException(CapabilityFault.KeyNotHeld, "the node does not hold the owner's key: send it as signing_key_hex, over TLS or on loopback");
        }

        using var held = vault.OpenKey(sealedSeed, passport.Holder.AsSpan());
        return use(held);
    }

    internal async Task<StoredPassport> InsertAsync(DecisionScope scope, Passport passport, byte[]? sealedSeed, string? fileName, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into a1_passports (holder, fingerprint, scope_root, expires_at, document, sealed_seed, file_name, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8) returning passport_no
            """,
            scope.Connection);
        foreach (var parameter in ColumnsOf(passport))
        {
            command.Parameters.Add(parameter);
        }

        command.Parameters.Add(new() { Value = (object?)sealedSeed ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });
        command.Parameters.Add(new() { Value = (object?)fileName ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        var stored = new StoredPassport((long)(await command.ExecuteScalarAsync(cancellation))!, passport, sealedSeed, fileName);
        await RecordAsync(scope, stored.No, passport.Root, null, cancellation);
        scope.PassportChanged(stored.No);
        return stored;
    }

    /// <summary>Puts a new root certificate in the place of the old one, which still counts wherever it is carried.</summary>
    internal async Task ReplaceAsync(DecisionScope scope, long passportNo, Passport passport, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "update a1_passports set holder = $1, fingerprint = $2, scope_root = $3, expires_at = $4, document = $5 where passport_no = $6", scope.Connection);
        foreach (var parameter in ColumnsOf(passport))
        {
            command.Parameters.Add(parameter);
        }

        command.Parameters.Add(new() { Value = passportNo });
        await command.ExecuteNonQueryAsync(cancellation);
        await RecordAsync(scope, passportNo, passport.Root, null, cancellation);
        scope.PassportChanged(passportNo);
    }

    /// <summary>Remembers that a passport's key issued a certificate, so that it can be revoked with whom it was given to.</summary>
    internal static async Task RecordAsync(DecisionScope scope, long passportNo, DelegationCertificate certificate, Bytes32? agent, CancellationToken cancellation)
    {
        var fingerprint = certificate.Fingerprint();
        await using var command = new NpgsqlCommand(
            "insert into a1_certificates (fingerprint, passport_no, agent, expires_at) values ($1, $2, $3, $4) on conflict do nothing", scope.Connection);
        command.Parameters.Add(new() { Value = fingerprint.ToArray() });
        command.Parameters.Add(new() { Value = passportNo });
        command.Parameters.Add(new() { Value = (object?)agent?.ToArray() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(certificate.ExpiresAt) });
        await command.ExecuteNonQueryAsync(cancellation);
        scope.Found += $", certificate {fingerprint}";
    }

    /// <summary>Revokes every certificate that the passport's key issued here, and the passport itself.</summary>
    internal async Task RevokeAsync(DecisionScope scope, long passportNo, CancellationToken cancellation)
    {
        await using var batch = new NpgsqlBatch(scope.Connection);
        var now = time.GetUtcNow().UtcDateTime;
        batch.Add("update a1_passports set revoked_at = coalesce(revoked_at, $2) where passport_no = $1", passportNo, now);
        batch.Add(
            "insert into a1_revocations (fingerprint, revoked_at) select fingerprint, $2 from a1_certificates where passport_no = $1 on conflict do nothing",
            passportNo, now);
        scope.Found += $", {await batch.ExecuteNonQueryAsync(cancellation) - 1} certificates revoked";
        scope.PassportChanged(passportNo);
    }

    /// <summary>Revokes what one agent got from the passport's key, and forgets nothing of it.</summary>
    internal async Task RevokeAsync(DecisionScope scope, long passportNo, Bytes32 agent, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            insert into a1_revocations (fingerprint, revoked_at)
            select fingerprint, $3 from a1_certificates where passport_no = $1 and agent = $2 on conflict do nothing returning fingerprint
            """,
            scope.Connection);
        command.Parameters.Add(new() { Value = passportNo });
        command.Parameters.Add(new() { Value = agent.ToArray() });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            scope.Found += $", revoked {Convert.ToHexStringLower(reader.GetFieldValue<byte[]>(0))}";
        }
    }

    internal StoredPassport Read(NpgsqlDataReader reader, int at) => new(
        reader.GetInt64(at),
        TrustAnchors.Parse(reader.GetFieldValue<byte[]>(at + 1), keys),
        reader.IsDBNull(at + 2) ? null : reader.GetFieldValue<byte[]>(at + 2),
        reader.IsDBNull(at + 3) ? null : reader.GetString(at + 3));

    internal static Nonce NewNonce()
    {
        Span<byte> bytes = stackalloc byte[Nonce.SizeBytes];
        System.Security.Cryptography.RandomNumberGenerator.Fill(bytes);
        return Nonce.Read(bytes);
    }

    private static IEnumerable<NpgsqlParameter> ColumnsOf(Passport passport)
    {
        var document = new System.Buffers.ArrayBufferWriter<byte>(2048);
        using (var json = new System.Text.Json.Utf8JsonWriter(document))
        {
            passport.Write(json);
        }

        return
        [
            new() { Value = passport.Root.Delegate.ToArray() },
            new() { Value = passport.Root.Fingerprint().ToArray() },
            new() { Value = passport.Root.ScopeRoot.ToArray() },
            new() { Value = UnixTime.ToStored(passport.Root.ExpiresAt) },
            new() { Value = document.WrittenSpan.ToArray() },
        ];
    }
}
