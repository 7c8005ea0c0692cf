using System.Security.Cryptography;
using NSec.Cryptography;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>The private key file <c>agent.key</c> (ASP §2.1): the raw 32-byte Ed25519 seed and nothing else, readable by its owner alone.</summary>
public static class SeedFile
{
    public const string Name = "agent.key";
    public const int SizeBytes = 32;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Loads the key.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidKey"/>: the file does not hold exactly 32 bytes.</exception>
    public static Key Load(string path)
    {
        using var file = File.OpenRead(path);
        Span<byte> seed = stackalloc byte[SizeBytes + 1];
        try
        {
            var length = file.ReadAtLeast(seed, seed.Length, throwOnEndOfStream: false);
            if (length != SizeBytes)
            {
                throw new SwarmException(SwarmError.InvalidKey, $"{path} must hold exactly {SizeBytes} bytes, the raw Ed25519 seed.");
            }

            return Key.Import(SignatureAlgorithm.Ed25519, seed[..SizeBytes], KeyBlobFormat.RawPrivateKey);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>Makes a new key and writes it; never overwrites.</summary>
    /// <exception cref="IOException">The file exists, or cannot be written.</exception>
    public static Key Create(string path)
    {
        Span<byte> seed = stackalloc byte[SizeBytes];
        try
        {
            RandomNumberGenerator.Fill(seed);
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None };
            if (!OperatingSystem.IsWindows())
            {
                // The mode is set as the file appears: nobody can open it in between.
                options.UnixCreateMode = OwnerOnly;
            }

            using var file = new FileStream(path, options);
            file.Write(seed);
            file.Flush(flushToDisk: true);
            return Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>Loads the key, or makes one where there is no file.</summary>
    public static Key LoadOrCreate(string path) => File.Exists(path) ? Load(path) : Create(path);
}
