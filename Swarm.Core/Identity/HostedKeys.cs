using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using NSec.Cryptography;
using Swarm.Core.Storage;

namespace Swarm.Core.Identity;

/// <summary>Opens the signing keys of hosted agents; they never leave the process.</summary>
public sealed class HostedKeys(IDbContextFactory<SwarmDb> databases, KeyVault vault)
{
    /// <exception cref="SwarmException"><see cref="SwarmError.KeyNotHeld"/>: the agent signs for itself, or is revoked.</exception>
    public async ValueTask<Key> OpenAsync(AgentProfile agent, CancellationToken cancellation)
    {
        // Another replica may have given the agent a new key.
        if (vault.Find(agent.Id) is { } open && open.PublicKey.Equals(agent.PublicKey))
        {
            return open;
        }

        await using var db = await databases.CreateDbContextAsync(cancellation);
        var row = await db.Agents.AsNoTracking()
            .Where(a => a.AgentNo == agent.Id.Value && a.RevokedAt == null)
            .Select(a => new { a.SealedSeed, a.PublicKey })
            .FirstOrDefaultAsync(cancellation);
        return row?.SealedSeed is { } sealedSeed
            ? vault.Open(agent.Id, sealedSeed, row.PublicKey)
            : throw new SwarmException(SwarmError.KeyNotHeld);
    }

    /// <summary>The keys that the agent had before, the newest first, to sign with where a peer still knows it by one of them; to be disposed.</summary>
    public async Task<IReadOnlyList<Key>> OpenFormerAsync(AgentProfile agent, CancellationToken cancellation)
    {
        await using var db = await databases.CreateDbContextAsync(cancellation);
        var rows = await db.FormerKeys.AsNoTracking().Where(k => k.AgentNo == agent.Id.Value).OrderByDescending(k => k.RetiredAt).ToListAsync(cancellation);
        return rows.ConvertAll(row =>
        {
            var seed = vault.Unseal(row.SealedSeed, row.PublicKey);
            var key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
            CryptographicOperations.ZeroMemory(seed);
            return key;
        });
    }
}
