using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Core.Identity;

/// <summary>What an agent is made of. Exactly one of seed and public key may be given: a seed imports a hosted agent, a key enrols an external one.</summary>
public sealed record NewAgent(string Name)
{
    /// <summary>Its base URL, https; null for the one this node gives it.</summary>
    public string? Endpoint { get; init; }

    /// <summary>32 bytes to import for a hosted agent; null to make a new key.</summary>
    public byte[]? Seed { get; init; }

    /// <summary>32 bytes; makes the agent an external one.</summary>
    public byte[]? PublicKey { get; init; }

    public string? DisplayName { get; init; }

    public string? Description { get; init; }

    public bool IsDefault { get; init; }
}

/// <summary>What a hosted agent does when its master offers it the swarm (ASP §10.6).</summary>
public enum MasterOffers
{
    /// <summary>It accepts, as the protocol's answer to an offer has it.</summary>
    Accept,

    /// <summary>The offer waits in its inbox; it accepts the next one after it has agreed.</summary>
    Ask,
}

/// <summary>What holds for all hosted agents.</summary>
public sealed class AgentOptions
{
    /// <summary>Whether they become masters unasked (configuration <c>Swarm:MasterOffers</c>).</summary>
    public MasterOffers MasterOffers { get; set; } = MasterOffers.Accept;

    /// <summary>Whether peers join only with proof that they hold the key which they name (configuration <c>Swarm:RequireJoinProof</c>). Reference peers bring none.</summary>
    public bool RequireJoinProof { get; set; }

    /// <summary>The node's base URL as peers see it (configuration <c>Swarm:PublicUrl</c>).</summary>
    public string PublicUrl { get; set; } = "https://localhost:8743";
}

/// <summary>Makes, enrols and revokes the agents of this node.</summary>
public sealed class Agents(
    Decisions decisions, Tokens tokens, KeyVault vault, AgentDirectory directory, Rosters rosters, SwarmNotices notices, AgentOptions options, TimeProvider time)
{
    /// <summary>The longest endpoint, in characters (ASP §2.3).</summary>
    public const int EndpointLengthMax = 2048;

    /// <summary>The longest display name, in characters.</summary>
    public const int DisplayNameLengthMax = 256;

    /// <summary>The longest description, in characters.</summary>
    public const int DescriptionLengthMax = 2048;

    /// <summary>The most agents of one node.</summary>
    public const int AgentsMax = 100_000;

    /// <summary>Makes an agent and its first token.</summary>
    /// <exception cref="SwarmException">A rule of <see cref="NewAgent"/> is broken, or the name is taken.</exception>
    public Task<(AgentProfile Agent, IssuedToken Token)> CreateAsync(NewAgent agent, CancellationToken cancellation)
    {
        Check(agent);
        return decisions.RunAsync($"agent {agent.Name} created", scope => InsertAsync(scope, agent, cancellation), cancellation)
            .ContinueWithProfileAsync(directory, agent.Name, cancellation);
    }

    /// <summary>Enrols an external agent that holds a one-use token and proves that it holds its key.</summary>
    /// <param name="proof">Ed25519 over <c>swarm-enrol-v1\n&lt;token&gt;\n&lt;name&gt;</c>.</param>
    /// <exception cref="SwarmException">The token is not valid, the proof does not verify, or the name is taken.</exception>
    public Task<(AgentProfile Agent, IssuedToken Token)> EnrolAsync(string enrolmentToken, NewAgent agent, byte[] proof, CancellationToken cancellation)
    {
        Check(agent);
        if (agent.PublicKey is not { } key || !Proves(key, proof, $"swarm-enrol-v1\n{enrolmentToken}\n{agent.Name}"))
        {
            throw new SwarmException(SwarmError.InvalidSignature, "The proof does not verify with the public key.");
        }

        return decisions.RunAsync(
                $"agent {agent.Name} enrolled",
                async scope =>
                {
                    await tokens.SpendEnrolmentAsync(scope, enrolmentToken, cancellation);
                    return await InsertAsync(scope, agent, cancellation);
                },
                cancellation)
            .ContinueWithProfileAsync(directory, agent.Name, cancellation);
    }

    /// <summary>
    /// Ends an agent: its tokens and memberships go, its name is not given again. Its messages stay. Members elsewhere are told that it left,
    /// but for swarms of which it was the master: these have none any more.
    /// </summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownAgent"/>.</exception>
    public async Task RevokeAsync(AgentProfile agent, CancellationToken cancellation)
    {
        var no = agent.Id.Value;
        var now = time.GetUtcNow();
        var key = await notices.OpenAsync(agent, cancellation);
        await decisions.RunAsync(
            $"agent {agent.Name} revoked",
            async scope =>
            {
                // In the order of their numbers, like every other who locks several swarms.
                var swarms = await (
                    from m in scope.Db.Members join s in scope.Db.Swarms on m.SwarmNo equals s.SwarmNo
                    where m.AgentNo == no orderby s.SwarmNo select new { s.SwarmNo, s.SwarmId }).ToListAsync(cancellation);
                foreach (var swarm in swarms)
                {
                    await scope.LockSwarmAsync(swarm.SwarmNo, cancellation);
                    if (key is not null && await rosters.ReadAsync(scope.Db, new(swarm.SwarmId), cancellation) is { } roster
                        && roster.MasterId != agent.Id && roster.Find(agent.Id) is { } member)
                    {
                        await notices.LeftAsync(scope, key, roster, member, cancellation);
                    }
                }

                await scope.Db.Members.Where(m => m.AgentNo == no).ExecuteDeleteAsync(cancellation);
                await scope.Db.FormerKeys.Where(k => k.AgentNo == no).ExecuteDeleteAsync(cancellation);
                await scope.Db.Tokens.Where(t => t.AgentNo == no && t.RevokedAt == null)
                    .ExecuteUpdateAsync(s => s.SetProperty(t => t.RevokedAt, now), cancellation);
                scope.AgentChanged(no);
                return await scope.Db.Agents.Where(a => a.AgentNo == no && a.RevokedAt == null)
                    .ExecuteUpdateAsync(s => s.SetProperty(a => a.RevokedAt, now).SetProperty(a => a.IsDefault, false), cancellation) == 1
                    ? true
                    : throw new SwarmException(SwarmError.UnknownAgent);
            },
            cancellation);
        vault.Forget(agent.Id);
    }

    private async Task<IssuedToken> InsertAsync(DecisionScope scope, NewAgent agent, CancellationToken cancellation)
    {
        if (await scope.Db.Agents.CountAsync(cancellation) >= AgentsMax)
        {
            throw new SwarmException(SwarmError.LimitReached, $"A node has at most {AgentsMax} agents.");
        }

        if (await scope.Db.Agents.AnyAsync(a => a.Name == agent.Name, cancellation))
        {
            throw new SwarmException(SwarmError.NameTaken);
        }

        if (agent.IsDefault)
        {
            await scope.Db.Agents.Where(a => a.IsDefault).ExecuteUpdateAsync(s => s.SetProperty(a => a.IsDefault, false), cancellation);
        }

        var (publicKey, sealedSeed) = agent.PublicKey is { } external ? (external, null) : MakeKey(agent.Seed);
        var row = new AgentRow
        {
            Kind = agent.PublicKey is null ? AgentKind.Hosted : AgentKind.External,
            Name = agent.Name,
            Endpoint = agent.Endpoint ?? $"{options.PublicUrl.TrimEnd('/')}/agents/{agent.Name}/swarm",
            PublicKey = publicKey,
            SealedSeed = sealedSeed,
            DisplayName = agent.DisplayName,
            Description = agent.Description,
            IsDefault = agent.IsDefault,
            CreatedAt = time.GetUtcNow(),
        };
        scope.Db.Agents.Add(row);
        await scope.Db.SaveChangesAsync(cancellation);
        await scope.Db.Database.ExecuteSqlAsync($"insert into mailboxes (recipient_no) values ({row.AgentNo})", cancellation);
        scope.AgentChanged(row.AgentNo);
        return await tokens.IssueAsync(scope, TokenScope.Agent, new AgentId(row.AgentNo), "first", null, cancellation);
    }

    private (byte[] PublicKey, byte[] Sealed) MakeKey(byte[]? seed)
    {
        seed ??= RandomNumberGenerator.GetBytes(PublicKeys.LengthBytes);
        using var key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        var publicKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        var sealedSeed = vault.Seal(seed, publicKey);
        CryptographicOperations.ZeroMemory(seed);
        return (publicKey, sealedSeed);
    }

    private static void Check(NewAgent agent)
    {
        if (!AgentName.IsValidForLocal(agent.Name))
        {
            throw new SwarmException(
                SwarmError.InvalidName, "A name has 1 to 256 of the letters, digits, '_', '.', '-', and is not '.', '..' or 'broadcast'.");
        }

        if (agent.Endpoint is { } endpoint && !IsValidEndpoint(endpoint))
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"An endpoint starts with https:// and has at most {EndpointLengthMax} characters.");
        }

        if (agent is { Seed: not null, PublicKey: not null }
            || agent.Seed is { Length: not PublicKeys.LengthBytes }
            || (agent.PublicKey is { } key && !PublicKeys.IsSound(key)))
        {
            throw new SwarmException(SwarmError.InvalidKey);
        }

        if (agent.DisplayName?.Length > DisplayNameLengthMax || agent.Description?.Length > DescriptionLengthMax
            || agent.DisplayName?.Contains('\0') == true || agent.Description?.Contains('\0') == true)
        {
            throw new SwarmException(
                SwarmError.InvalidRequest,
                $"A display name has at most {DisplayNameLengthMax} characters, a description {DescriptionLengthMax}; neither holds U+0000.");
        }
    }

    /// <summary>ASP §2.3: https, and short enough; printable ASCII, so that it may stand in a log and a header.</summary>
    public static bool IsValidEndpoint(string endpoint) =>
        endpoint.StartsWith("https://", StringComparison.Ordinal)
        && endpoint.Length <= EndpointLengthMax
        && endpoint.All(c => c is > ' ' and < '\x7f');

    private static bool Proves(byte[] key, byte[] proof, string statement) =>
        key.Length == PublicKeys.LengthBytes
        && SignatureAlgorithm.Ed25519.Verify(
            PublicKey.Import(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey), Encoding.UTF8.GetBytes(statement), proof);
}

file static class Continuation
{
    public static async Task<(AgentProfile Agent, IssuedToken Token)> ContinueWithProfileAsync(
        this Task<IssuedToken> issued, AgentDirectory directory, string name, CancellationToken cancellation)
    {
        var token = await issued;
        return ((await directory.FindAsync(name, cancellation))!, token);
    }
}
