using Microsoft.EntityFrameworkCore;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Benchmarks.Load;

/// <summary>The agents and swarms of design §9: 1,000 senders, 1,000 recipients, 100 swarms with ten of each.</summary>
internal sealed class Population
{
    public const int Senders = 1_000;
    public const int Recipients = 1_000;
    public const int Swarms = 100;

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

    /// <summary>Writes them straight into the database: what is measured is messages, not enrolment.</summary>
    public static async Task<Population> CreateAsync(string connectionString, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
        await using var db = new SwarmDb(new DbContextOptionsBuilder<SwarmDb>().UseNpgsql(database).Options);
        var now = DateTimeOffset.UnixEpoch.AddYears(56);
        var keys = new Key[Senders];
        var agents = new AgentRow[Senders + Recipients];
        for (var i = 0; i < agents.Length; i++)
        {
            var key = Key.Create(SignatureAlgorithm.Ed25519, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.None });
            var name = i < Senders ? SenderName(i) : RecipientName(i - Senders);
            agents[i] = new()
            {
                Kind = AgentKind.External,
                Name = name,
                Endpoint = Endpoint(name),
                PublicKey = key.PublicKey.Export(KeyBlobFormat.RawPublicKey),
                CreatedAt = now,
            };
            if (i < Senders)
            {
                keys[i] = key;
            }
        }

        db.Agents.AddRange(agents);
        await db.SaveChangesAsync(cancellation);
        await db.Database.ExecuteSqlAsync($"insert into mailboxes (recipient_no) select agent_no from agents on conflict do nothing", cancellation);

        var swarms = Enumerable.Range(0, Swarms)
            .Select(i => new SwarmRow { SwarmId = Guid.NewGuid(), Name = $"load {i}", MasterNo = agents[i].AgentNo, CreatedAt = now }).ToArray();
        db.Swarms.AddRange(swarms);
        await db.SaveChangesAsync(cancellation);
        db.Members.AddRange(agents.Select((a, i) => new MemberRow
        {
            SwarmNo = swarms[i % Swarms].SwarmNo, AgentNo = a.AgentNo, Name = a.Name!, Endpoint = a.Endpoint, PublicKey = a.PublicKey, JoinedAt = now,
        }));
        await db.SaveChangesAsync(cancellation);
        return new(keys, [.. swarms.Select(s => s.SwarmId)]);
    }
}
