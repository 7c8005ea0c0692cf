using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Benchmarks.Node;
using Swarm.Core.Identity;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Benchmarks.Load;

/// <summary>
/// The agents and swarms of design §9: 1,000 senders, 1,000 recipients, 100 swarms with ten of each. They are written straight into the
/// database, before the node has read anything of them: what is measured is messages, not enrolment.
/// </summary>
internal sealed class Population
{
    public const int Senders = 1_000;
    public const int Recipients = 1_000;
    public const int Swarms = 100;

    private static readonly DateTimeOffset CreatedAt = DateTimeOffset.UnixEpoch.AddYears(56);

    private Population(Key[] keys, Guid[] swarms)
    {
        Keys = keys;
        SwarmIds = swarms;
    }

    public Key[] Keys { get; }

    public Guid[] SwarmIds { get; }

    public static string SenderName(int i) => $"sender-{i:0000}";

    public static string RecipientName(int i) => $"recipient-{i:0000}";

    public static string Endpoint(string name) => $"https://load.example/agents/{name}/swarm";

    /// <param name="node">Whose database.</param>
    /// <param name="hosted">Whether the node holds the senders' keys and signs for them.</param>
    /// <param name="cancellation">Breaks it off.</param>
    public static async Task<Population> CreateAsync(BenchNode node, bool hosted, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(node.ConnectionString);
        await using var db = Open(database);
        var keys = new Key[Senders];
        var agents = new AgentRow[Senders + Recipients];
        for (var i = 0; i < agents.Length; i++)
        {
            var isSender = i < Senders;
            (agents[i], var key) = NewAgent(isSender ? SenderName(i) : RecipientName(i - Senders), isSender && hosted ? node.MasterKey : null);
            if (isSender)
            {
                keys[i] = key;
            }
        }

        db.Agents.AddRange(agents);
        await db.SaveChangesAsync(cancellation);
        var swarms = Enumerable.Range(0, Swarms)
            .Select(i => new SwarmRow { SwarmId = Guid.NewGuid(), Name = $"load {i}", MasterNo = agents[i].AgentNo, CreatedAt = CreatedAt }).ToArray();
        db.Swarms.AddRange(swarms);
        await db.SaveChangesAsync(cancellation);
        db.Members.AddRange(agents.Select((a, i) => ToMember(a, swarms[i % Swarms].SwarmNo)));
        await db.SaveChangesAsync(cancellation);
        await MakeMailboxesAsync(db, cancellation);
        return new(keys, [.. swarms.Select(s => s.SwarmId)]);
    }

    /// <summary>Adds a swarm of a hosted speaker and <paramref name="members"/> listeners, who share one key: they never sign.</summary>
    public static async Task<Crowd> AddCrowdAsync(BenchNode node, string name, int members, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(node.ConnectionString);
        await using var db = Open(database);
        var (speaker, _) = NewAgent($"{name}-speaker", node.MasterKey);
        db.Agents.Add(speaker);
        await db.SaveChangesAsync(cancellation);
        var swarm = new SwarmRow { SwarmId = Guid.NewGuid(), Name = name, MasterNo = speaker.AgentNo, CreatedAt = CreatedAt };
        db.Swarms.Add(swarm);
        await db.SaveChangesAsync(cancellation);
        db.Members.Add(ToMember(speaker, swarm.SwarmNo));
        await db.SaveChangesAsync(cancellation);
        await db.Database.ExecuteSqlAsync(
            $"""
            insert into agents (kind, name, endpoint, public_key, created_at)
            select 2, {name + "-"} || i, 'https://load.example/agents/' || {name + "-"} || i || '/swarm', {speaker.PublicKey}, {CreatedAt}
            from generate_series(0, {members - 1}) i
            """,
            cancellation);
        await db.Database.ExecuteSqlAsync(
            $"""
            insert into members (swarm_no, agent_no, name, endpoint, public_key, joined_at)
            select {swarm.SwarmNo}, agent_no, name, endpoint, public_key, {CreatedAt} from agents
            where kind = 2 and public_key = {speaker.PublicKey} order by agent_no
            """,
            cancellation);
        await MakeMailboxesAsync(db, cancellation);
        return new(name, swarm.SwarmId, members);
    }

    /// <summary>Adds to every swarm agents of other nodes, remote agent <c>i</c> at endpoint <c>i</c>, and returns their names by swarm.</summary>
    public async Task<string[][]> AddRemotesAsync(BenchNode node, IReadOnlyList<string> endpoints, string prefix, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(node.ConnectionString);
        await using var db = Open(database);
        var agents = endpoints.Select(endpoint =>
        {
            using var key = Key.Create(SignatureAlgorithm.Ed25519);
            return new AgentRow
            {
                Kind = AgentKind.Remote, Endpoint = endpoint, PublicKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey), CreatedAt = CreatedAt,
            };
        }).ToArray();
        db.Agents.AddRange(agents);
        await db.SaveChangesAsync(cancellation);
        var bySwarm = await db.Swarms.ToDictionaryAsync(s => s.SwarmId, s => s.SwarmNo, cancellation);
        var names = SwarmIds.Select(_ => new List<string>()).ToArray();
        for (var i = 0; i < agents.Length; i++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{prefix}-{i:0000}");
            names[i % Swarms].Add(name);
            db.Members.Add(ToMember(agents[i], bySwarm[SwarmIds[i % Swarms]], name));
        }

        await db.SaveChangesAsync(cancellation);
        await MakeMailboxesAsync(db, cancellation);
        return [.. names.Select(n => n.ToArray())];
    }

    private static (AgentRow Row, Key Key) NewAgent(string name, string? masterKey)
    {
        var key = Key.Create(SignatureAlgorithm.Ed25519, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
        var publicKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        using var vault = masterKey is null ? null : new KeyVault(new() { MasterKey = masterKey });
        return (
            new()
            {
                Kind = vault is null ? AgentKind.External : AgentKind.Hosted,
                Name = name,
                Endpoint = Endpoint(name),
                PublicKey = publicKey,
                SealedSeed = vault?.Seal(key.Export(KeyBlobFormat.RawPrivateKey), publicKey),
                CreatedAt = CreatedAt,
            },
            key);
    }

    private static MemberRow ToMember(AgentRow agent, long swarm, string? name = null) => new()
    {
        SwarmNo = swarm, AgentNo = agent.AgentNo, Name = name ?? agent.Name!, Endpoint = agent.Endpoint, PublicKey = agent.PublicKey, JoinedAt = CreatedAt,
    };

    private static Task<int> MakeMailboxesAsync(SwarmDb db, CancellationToken cancellation) =>
        db.Database.ExecuteSqlAsync($"insert into mailboxes (recipient_no) select agent_no from agents on conflict do nothing", cancellation);

    private static SwarmDb Open(NpgsqlDataSource database) => new(new DbContextOptionsBuilder<SwarmDb>().UseNpgsql(database).Options);
}

/// <summary>A swarm with many members and one hosted agent that speaks to them.</summary>
internal sealed record Crowd(string Name, Guid SwarmId, int Members)
{
    public string Speaker => $"{Name}-speaker";

    public string Member(int i) => $"{Name}-{i}";
}
