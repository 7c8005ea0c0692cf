using NSec.Cryptography;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>
/// The life of passports (A1 §12, §14.5), in the database where A1 has files: a file name finds one, and nothing else. A revoked one takes every
/// certificate along that its key issued here, in the same transaction.
/// </summary>
public sealed class Passports(NpgsqlDataSource database, Decisions decisions, PassportTable table, PublicKeys keys, TimeProvider time)
{
    /// <summary>The most passports of a list.</summary>
    public const int ListMax = 10_000;

    /// <summary>The longest name of a file, in characters.</summary>
    public const int FileNameLengthMax = 128;

    private const string Columns = "passport_no, document, sealed_seed, file_name";
    private const string Extension = ".json";
    private const ulong ToleranceSeconds = 15;

    /// <summary>The name that A1 gives a namespace's file: what is no letter, digit, <c>-</c> or <c>_</c> becomes <c>-</c>.</summary>
    public static string FileNameOf(string @namespace)
    {
        var name = string.Concat(@namespace.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '-'));
        return (name.Length > FileNameLengthMax ? name[..FileNameLengthMax] : name) + Extension;
    }

    /// <summary>True for the name of a file of the one folder, and for no path.</summary>
    public static bool IsFileName(string name) =>
        name.Length <= FileNameLengthMax + Extension.Length && name.EndsWith(Extension, StringComparison.Ordinal)
        && name.AsSpan(0, name.Length - Extension.Length) is { IsEmpty: false } stem && !stem.ContainsAnyExcept(FileNameCharacters);

    private static readonly System.Buffers.SearchValues<char> FileNameCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

    /// <exception cref="DenialException">A1's refusals.</exception>
    /// <exception cref="CapabilityException"><see cref="CapabilityFault.Conflict"/>: a passport of that name is there and not revoked.</exception>
    public Task<StoredPassport> IssueAsync(
        string actor, string @namespace, IReadOnlyList<string> capabilities, ulong ttlSeconds, string fileName, PassportHolder holder,
        CancellationToken cancellation)
    {
        var (passport, sealedSeed) = table.Make(@namespace, capabilities, ttlSeconds, holder);
        return decisions.RunAsync(
            $"a1 passport {fileName} issued to {A1Did(passport)} by {actor}",
            scope => InsertAsync(scope, passport, sealedSeed, fileName, cancellation),
            cancellation);
    }

    /// <summary>Takes in a passport that was made elsewhere; null when it does not hold, or its name is taken.</summary>
    public async Task<StoredPassport?> RestoreAsync(string actor, Passport passport, string fileName, CancellationToken cancellation)
    {
        if (passport.Check(keys, time.UnixNow(), ToleranceSeconds) is not null)
        {
            return null;
        }

        try
        {
            return await decisions.RunAsync(
                $"a1 passport {fileName} of {A1Did(passport)} restored by {actor}",
                scope => InsertAsync(scope, passport, null, fileName, cancellation),
                cancellation);
        }
        catch (CapabilityException e) when (e.Fault == CapabilityFault.Conflict)
        {
            return null;
        }
    }

    /// <summary>Those that are not revoked.</summary>
    public async Task<IReadOnlyList<StoredPassport>> ListAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"select {Columns} from a1_passports where revoked_at is null and file_name is not null order by file_name limit $1");
        command.Parameters.Add(new() { Value = ListMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new List<StoredPassport>();
        while (await reader.ReadAsync(cancellation))
        {
            found.Add(table.Read(reader, 0));
        }

        return found;
    }

    /// <summary>The one with that file name.</summary>
    /// <exception cref="CapabilityException"><see cref="CapabilityFault.PassportNotFound"/>.</exception>
    public async Task<StoredPassport> GetAsync(string fileName, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        return await FindAsync(connection, fileName, "", cancellation);
    }

    /// <summary>A new root certificate for the same holder and the same capabilities.</summary>
    public Task<StoredPassport> RenewAsync(string actor, string fileName, ulong ttlSeconds, Key? given, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 passport {fileName} renewed by {actor}",
            async scope =>
            {
                var old = await FindAsync(scope.Connection, fileName, "for update", cancellation);
                var renewed = table.WithKey(old, given, key => table.Make(old.Passport.Namespace, old.Passport.Capabilities, ttlSeconds, new(key)).Passport);
                await table.ReplaceAsync(scope, old.No, renewed, cancellation);
                return old with { Passport = renewed };
            },
            cancellation);

    /// <summary>Revokes the passport and all that its key issued here.</summary>
    public Task<StoredPassport> RevokeAsync(string actor, string fileName, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 passport {fileName} revoked by {actor}",
            async scope =>
            {
                var passport = await FindAsync(scope.Connection, fileName, "for update", cancellation);
                scope.Found += $", root {passport.Fingerprint}";
                await table.RevokeAsync(scope, passport.No, cancellation);
                return passport;
            },
            cancellation);

    /// <summary>A chain for an agent, with some of the passport's capabilities.</summary>
    public Task<SignedChain> IssueChainAsync(
        string actor, string fileName, Bytes32 agent, IReadOnlyList<string> capabilities, ulong ttlSeconds, Key? given, CancellationToken cancellation) =>
        decisions.RunAsync(
            $"a1 chain of passport {fileName} issued to {Members.A1Swarm.DidOf(agent)} by {actor}",
            async scope =>
            {
                var passport = await FindAsync(scope.Connection, fileName, "for share", cancellation);
                var certificate = table.WithKey(
                    passport, given, key => passport.Passport.IssueSub(agent, capabilities, key, time.UnixNow(), table.LifeOf(ttlSeconds), PassportTable.NewNonce()));
                await PassportTable.RecordAsync(scope, passport.No, certificate, agent, cancellation);
                return passport.Passport.ChainOf(certificate);
            },
            cancellation);

    private static string A1Did(Passport passport) => Members.A1Swarm.DidOf(passport.Root.Delegate);

    private async Task<StoredPassport> InsertAsync(DecisionScope scope, Passport passport, byte[]? sealedSeed, string fileName, CancellationToken cancellation)
    {
        try
        {
            return await table.InsertAsync(scope, passport, sealedSeed, fileName, cancellation);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            throw new CapabilityException(CapabilityFault.Conflict, "a passport of that name exists: renew it, or revoke it first");
        }
    }

    private async Task<StoredPassport> FindAsync(NpgsqlConnection connection, string fileName, string locking, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select {Columns} from a1_passports where file_name = $1 and revoked_at is null {locking}", connection);
        command.Parameters.Add(new() { Value = fileName });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? table.Read(reader, 0) : throw new CapabilityException(CapabilityFault.PassportNotFound, "passport not found");
    }
}
