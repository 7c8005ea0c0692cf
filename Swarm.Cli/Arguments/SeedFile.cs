using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Swarm.Cli.Profile;

namespace Swarm.Cli.Arguments;

/// <summary>An Ed25519 seed of one's own: 64 hex digits in a file, no line end, readable by its owner alone (A1 §17). It is never printed from there.</summary>
internal static class SeedFile
{
    /// <summary>Some room for white space around it.</summary>
    private const int BytesMax = 256;

    /// <summary>A new seed and its public key, both in hex.</summary>
    public static (string Seed, string PublicKey) New()
    {
        var seed = RandomNumberGenerator.GetBytes(32);
        try
        {
            return (Convert.ToHexStringLower(seed), PublicKeyOf(seed));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>Writes a new file; one that is there stays.</summary>
    /// <exception cref="CliException">Exit 1: there is such a file.</exception>
    public static void Write(string path, string seed)
    {
        if (File.Exists(path))
        {
            throw new CliException(ExitCode.General, $"'{Shown.Short(path)}' is there already.", "A key that is written over is lost: take another name.");
        }

        using var file = PrivateFiles.OpenAlone(path, FileMode.CreateNew);
        file.Write(Encoding.ASCII.GetBytes(seed));
        file.Flush(flushToDisk: true);
    }

    /// <summary>The seed in hex and its public key.</summary>
    /// <exception cref="CliException">Exit 5: no such file; exit 2: it holds no seed.</exception>
    public static (string Seed, string PublicKey) Read(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read);
            var text = BoundedInput.Read(file, BytesMax) is { } bytes ? Encoding.ASCII.GetString(bytes).Trim() : "";
            return PublicKeyText.IsHex(text)
                ? (text, PublicKeyOf(Convert.FromHexString(text)))
                : throw CliException.BadArguments($"'{Shown.Short(path)}' is not a key file.", "It holds 64 hex digits; 'swarm keys new --out FILE' writes one.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CliException(ExitCode.NotFound, $"There is no file '{Shown.Short(path)}'.");
        }
    }

    /// <summary>The seed to send along; null for null.</summary>
    /// <exception cref="CliException">Exit 2: others could read it on its way.</exception>
    public static string? ToSend(string? path, Uri node) =>
        path is null ? null
        : node.Scheme == "https" || node.IsLoopback ? Read(path).Seed
        : throw CliException.BadArguments($"{node.Authority} would get the key in clear.", "A key is sent over https or to this machine alone; without --key the node keeps one.");

    private static string PublicKeyOf(byte[] seed)
    {
        using var key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        return Convert.ToHexStringLower(key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
    }
}
