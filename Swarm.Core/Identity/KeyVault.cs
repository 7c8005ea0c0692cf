using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Swarm.Core.Storage;

namespace Swarm.Core.Identity;

/// <summary>Where the master key comes from.</summary>
public sealed class KeyVaultOptions
{
    /// <summary>The fewest characters of a master key.</summary>
    public const int MasterKeyLengthMin = 22;

    /// <summary>What to say, and to do, when there is none.</summary>
    public static readonly string MissingMeaning =
        "Swarm:MasterKey is missing or too short. The AppHost makes and keeps it (parameter master-key); elsewhere set Swarm__MasterKey " +
        $"to a random text of at least {MasterKeyLengthMin} characters and keep it safe: without it hosted keys are lost";

    /// <summary>The node's master key (configuration <c>Swarm:MasterKey</c>), a random text; the sealing key is derived from it.</summary>
    public string MasterKey { get; set; } = "";
}

/// <summary>
/// Seals the seeds of hosted agents with AES-256-GCM under the node's master key, with the agent's public key as associated data
/// (design §5). Layout of a sealed seed: key id (8) ‖ nonce (12) ‖ tag (16) ‖ ciphertext (32).
/// </summary>
public sealed class KeyVault : IDisposable
{
    /// <summary>The most signing keys that are held open at a time.</summary>
    public const int OpenKeysMax = 10_000;

    private const int KeyIdLength = 8;
    private const int NonceLength = 12;
    private const int TagLength = 16;
    private static readonly byte[] CheckText = "swarm master key check"u8.ToArray();

    // One operation at a time: an AesGcm is not safe to use from several threads. Keys are opened once and kept, so nobody waits long.
    private readonly Lock _lock = new();
    private readonly AesGcm _aes;
    private readonly byte[] _keyId;
    private readonly ConcurrentDictionary<AgentId, Key> _open = new();

    public KeyVault(KeyVaultOptions options)
    {
        if (options.MasterKey.Length < KeyVaultOptions.MasterKeyLengthMin)
        {
            throw new StorageException(KeyVaultOptions.MissingMeaning + ".");
        }

        var master = Encoding.UTF8.GetBytes(options.MasterKey);
        var derived = HKDF.DeriveKey(HashAlgorithmName.SHA256, master, 32, info: "swarm hosted keys"u8.ToArray());
        _keyId = HKDF.DeriveKey(HashAlgorithmName.SHA256, master, KeyIdLength, info: "swarm master key id"u8.ToArray());
        _aes = new AesGcm(derived, TagLength);
        CryptographicOperations.ZeroMemory(derived);
        CryptographicOperations.ZeroMemory(master);
    }

    /// <summary>Seals a text so that only this master key and the same associated data open it.</summary>
    public byte[] Seal(ReadOnlySpan<byte> plain, ReadOnlySpan<byte> associated)
    {
        var result = new byte[KeyIdLength + NonceLength + TagLength + plain.Length];
        _keyId.CopyTo(result, 0);
        var nonce = result.AsSpan(KeyIdLength, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        lock (_lock)
        {
            _aes.Encrypt(
                nonce, plain, result.AsSpan(KeyIdLength + NonceLength + TagLength), result.AsSpan(KeyIdLength + NonceLength, TagLength), associated);
        }

        return result;
    }

    /// <exception cref="StorageException">It was sealed under another master key, for another agent, or was changed.</exception>
    public byte[] Unseal(ReadOnlySpan<byte> sealedBytes, ReadOnlySpan<byte> associated)
    {
        if (sealedBytes.Length < KeyIdLength + NonceLength + TagLength || !sealedBytes[..KeyIdLength].SequenceEqual(_keyId))
        {
            throw WrongMasterKey();
        }

        var plain = new byte[sealedBytes.Length - KeyIdLength - NonceLength - TagLength];
        try
        {
            lock (_lock)
            {
                _aes.Decrypt(
                    sealedBytes.Slice(KeyIdLength, NonceLength),
                    sealedBytes[(KeyIdLength + NonceLength + TagLength)..],
                    sealedBytes.Slice(KeyIdLength + NonceLength, TagLength),
                    plain,
                    associated);
            }
        }
        catch (AuthenticationTagMismatchException)
        {
            throw WrongMasterKey();
        }

        return plain;
    }

    /// <summary>What is left in the database on the first start, for <see cref="Check"/> on later ones.</summary>
    public byte[] MakeCheck() => Seal(CheckText, default);

    /// <summary>Refuses another master key than the database was made under.</summary>
    /// <exception cref="StorageException">The database was made under another master key.</exception>
    public void Check(byte[] check) => Unseal(check, default);

    /// <summary>The signing key of a hosted agent if it is open.</summary>
    public Key? Find(AgentId agent) => _open.GetValueOrDefault(agent);

    /// <summary>The signing key of a hosted agent, opened once and kept.</summary>
    public Key Open(AgentId agent, ReadOnlySpan<byte> sealedSeed, ReadOnlySpan<byte> publicKey)
    {
        var current = PublicKey.Import(SignatureAlgorithm.Ed25519, publicKey, KeyBlobFormat.RawPublicKey);
        if (_open.TryGetValue(agent, out var key) && key.PublicKey.Equals(current))
        {
            return key;
        }

        if (_open.Count >= OpenKeysMax)
        {
            _open.Clear();
        }

        var seed = Unseal(sealedSeed, publicKey);
        key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        CryptographicOperations.ZeroMemory(seed);
        return _open.AddOrUpdate(agent, key, (_, open) => open.PublicKey.Equals(current) ? open : key);
    }

    /// <summary>Drops the key of an agent that was revoked.</summary>
    public void Forget(AgentId agent) => _open.TryRemove(agent, out _);

    public void Dispose() => _aes.Dispose();

    private static StorageException WrongMasterKey() => new(
        "The master key is not the one this database was made with. Restore Swarm:MasterKey (the AppHost's parameter master-key, in its user " +
        "secrets), or restore the whole node from a backup, which holds the key.");
}
