using System.Text.Json;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Capabilities.Json;

namespace Swarm.Core.Capabilities.Members;

/// <summary>
/// What a member of an A1 swarm is (A1 §13.1). <see cref="MaxDepth"/> is a certificate's <c>max_depth</c>: the whole length of a chain.
/// </summary>
public sealed record SwarmRole
{
    private static readonly byte[][] Members = WireValues.Names(
        "name", "capabilities", "can_delegate", "max_delegation_depth", "max_worker_ttl_secs");

    // A worker has the second member alone, a supervisor the last as well, a custom role all but that.
    private const uint OptionalOfWorker = 0b11101, OptionalOfSupervisor = 0b01101, OptionalOfCustom = 0b10000;

    public static readonly SwarmRole Orchestrator = new() { Kind = SwarmRoleKind.Orchestrator, Name = "orchestrator", CanDelegate = true, MaxDepth = 16 };
    public static readonly SwarmRole Auditor = new() { Kind = SwarmRoleKind.Auditor, Name = "auditor" };

    private SwarmRole()
    {
    }

    public required SwarmRoleKind Kind { get; init; }

    /// <summary>In lower case but for a custom role, which has its own name.</summary>
    public required string Name { get; init; }

    /// <summary>What the role lists; an orchestrator and an auditor list nothing.</summary>
    public IReadOnlyList<string> Capabilities { get; private init; } = [];

    public bool CanDelegate { get; private init; }

    public ulong MaxDepth { get; private init; }

    /// <summary>Of a supervisor alone: how long its workers may live. The role's commitment does not cover it.</summary>
    public ulong MaxWorkerTtlSeconds { get; private init; }

    public static SwarmRole Worker(IReadOnlyList<string> capabilities) =>
        new() { Kind = SwarmRoleKind.Worker, Name = "worker", Capabilities = capabilities };

    public static SwarmRole Supervisor(IReadOnlyList<string> capabilities, ulong maxWorkerTtlSeconds) => new()
    {
        Kind = SwarmRoleKind.Supervisor, Name = "supervisor", Capabilities = capabilities, CanDelegate = true, MaxDepth = 4,
        MaxWorkerTtlSeconds = maxWorkerTtlSeconds,
    };

    public static SwarmRole Custom(string name, IReadOnlyList<string> capabilities, bool canDelegate, byte maxDepth) => new()
    {
        Kind = SwarmRoleKind.Custom, Name = name, Capabilities = capabilities, CanDelegate = canDelegate, MaxDepth = maxDepth,
    };

    /// <summary>A checksum over role, agent and time. It is not signed, so it is no evidence.</summary>
    public Bytes32 Commitment(string agentDid, ulong issuedAt)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.AddText(Name);
        foreach (var capability in Capabilities)
        {
            data.AddPrefixed(capability);
        }

        data.Add(CanDelegate ? (byte)1 : (byte)0);
        data.AddLittleEndian(MaxDepth);
        data.AddText(agentDid);
        data.AddLittleEndian(issuedAt);
        return A1Contexts.SwarmRole.Derive(data.Written);
    }

    /// <summary>Reads A1's own form: <c>"Auditor"</c>, <c>{"Worker":{…}}</c>.</summary>
    /// <exception cref="ShapeException">It is no role.</exception>
    public static SwarmRole Read(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return WireValues.ReadText(ref reader, "role") switch
            {
                nameof(Orchestrator) => Orchestrator,
                nameof(Auditor) => Auditor,
                _ => throw Unknown(),
            };
        }

        MemberReader.Open(ref reader, "role");
        reader.Read();
        var kind = reader.TokenType != JsonTokenType.PropertyName ? throw Unknown()
            : reader.ValueTextEquals("Worker"u8) ? SwarmRoleKind.Worker
            : reader.ValueTextEquals("Supervisor"u8) ? SwarmRoleKind.Supervisor
            : reader.ValueTextEquals("Custom"u8) ? SwarmRoleKind.Custom
            : throw Unknown();
        reader.Read();
        var role = ReadListed(ref reader, kind);
        return reader.Read() && reader.TokenType == JsonTokenType.EndObject ? role : throw Unknown();
    }

    /// <summary>Writes A1's own form.</summary>
    public void Write(Utf8JsonWriter json)
    {
        if (Kind is SwarmRoleKind.Orchestrator or SwarmRoleKind.Auditor)
        {
            json.WriteStringValue(Kind.ToString());
            return;
        }

        json.WriteStartObject();
        json.WriteStartObject(Kind.ToString());
        if (Kind == SwarmRoleKind.Custom)
        {
            json.WriteString("name"u8, Name);
        }

        WireValues.WriteTexts(json, "capabilities"u8, Capabilities);
        if (Kind == SwarmRoleKind.Supervisor)
        {
            json.WriteNumber("max_worker_ttl_secs"u8, MaxWorkerTtlSeconds);
        }

        if (Kind == SwarmRoleKind.Custom)
        {
            json.WriteBoolean("can_delegate"u8, CanDelegate);
            json.WriteNumber("max_delegation_depth"u8, MaxDepth);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static SwarmRole ReadListed(ref Utf8JsonReader reader, SwarmRoleKind kind)
    {
        var name = "";
        IReadOnlyList<string> capabilities = [];
        var canDelegate = false;
        ulong depth = 0, ttl = 0;
        MemberReader.Open(ref reader, "role");
        var members = new MemberReader(Members, kind switch
        {
            SwarmRoleKind.Worker => OptionalOfWorker,
            SwarmRoleKind.Supervisor => OptionalOfSupervisor,
            _ => OptionalOfCustom,
        });
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    name = WireValues.ReadText(ref reader, "name");
                    break;
                case 1:
                    capabilities = WireValues.ReadTexts(ref reader, "capabilities");
                    break;
                case 2:
                    canDelegate = WireValues.ReadTruth(ref reader, "can_delegate");
                    break;
                case 3:
                    depth = WireValues.ReadNumber(ref reader, "max_delegation_depth", byte.MaxValue);
                    break;
                default:
                    ttl = WireValues.ReadNumber(ref reader, "max_worker_ttl_secs");
                    break;
            }
        }

        return kind switch
        {
            SwarmRoleKind.Worker => Worker(capabilities),
            SwarmRoleKind.Supervisor => Supervisor(capabilities, ttl),
            _ => Custom(name, capabilities, canDelegate, (byte)depth),
        };
    }

    private static ShapeException Unknown() => new("role: one of A1's five roles is needed");
}

public enum SwarmRoleKind
{
    Orchestrator,
    Supervisor,
    Worker,
    Auditor,
    Custom,
}
