using System.Security.Cryptography;
using NSec.Cryptography;
using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>The gateway's keys, which never leave the process.</summary>
/// <param name="Signing">Signs what the gateway issues.</param>
/// <param name="PublicKey">Its public half.</param>
/// <param name="Mac">The key of its tokens, 32 bytes.</param>
public sealed record GatewayKey(Key Signing, Bytes32 PublicKey, byte[] Mac);

/// <summary>Makes the gateway's keys once for all replicas, sealed by the vault, and opens them.</summary>
public sealed class GatewayKeys(NpgsqlDataSource database, KeyVault vault)
{
    private static readonly byte[] MacPurpose = "a1 token mac"u8.ToArray();

    private GatewayKey? _open;

    /// <summary>The keys if they are open: from the first use on.</summary>
    public GatewayKey? Current => Volatile.Read(ref _open);

    /// <exception cref="StorageException">They were sealed under another master key.</exception>
    public ValueTask<GatewayKey> GetAsync(CancellationToken cancellation) => Current is { } open ? new(open) : new(OpenAsync(cancellation));

    private async Task<GatewayKey> OpenAsync(CancellationToken cancellation)
    {
        var found = await ReadAsync(cancellation);
        if (found is null)
        {
            await MakeAsync(cancellation);
            found = await ReadAsync(cancellation) ?? throw new StorageException("The gateway's keys cannot be read.");
        }

        return Interlocked.CompareExchange(ref _open, found, null) ?? found;
    }

    private async Task<GatewayKey?> ReadAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select public_key, sealed_seed, sealed_mac from a1_gateway");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        if (!await reader.ReadAsync(cancellation))
        {
            return null;
        }

        var publicKey = reader.GetFieldValue<byte[]>(0);
        return new(vault.OpenKey(reader.GetFieldValue<byte[]>(1), publicKey), Bytes32.Read(publicKey), vault.Unseal(reader.GetFieldValue<byte[]>(2), MacPurpose));
    }

    /// <summary>Of several replicas that start together the first one's keys stay.</summary>
    private async Task MakeAsync(CancellationToken cancellation)
    {
        var seed = RandomNumberGenerator.GetBytes(32);
        var mac = RandomNumberGenerator.GetBytes(32);
        try
        {
            using var key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
            var publicKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
            await using var command = database.CreateCommand(
                "insert into a1_gateway (public_key, sealed_seed, sealed_mac) values ($1, $2, $3) on conflict do nothing");
            command.Parameters.Add(new() { Value = publicKey });
            command.Parameters.Add(new() { Value = vault.Seal(seed, publicKey) });
            command.Parameters.Add(new() { Value = vault.Seal(mac, MacPurpose) });
            await command.ExecuteNonQueryAsync(cancellation);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
            CryptographicOperations.ZeroMemory(mac);
        }
    }
}

/// <summary>Keys that the vault seals for the capabilities; they are opened for one use.</summary>
internal static class SealedKeys
{
    public static Key OpenKey(this KeyVault vault, ReadOnlySpan<byte> sealedSeed, ReadOnlySpan<byte> publicKey)
    {
        var seed = vault.Unseal(sealedSeed, publicKey);
        try
        {
            return Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>A new key and its seed, sealed.</summary>
    public static (Key Key, byte[] Sealed) NewKey(this KeyVault vault)
    {
        var seed = RandomNumberGenerator.GetBytes(32);
        try
        {
            var key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
            return (key, vault.Seal(seed, key.PublicKey.Export(KeyBlobFormat.RawPublicKey)));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    public static Bytes32 Public(this Key key) => Bytes32.Read(key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
}
