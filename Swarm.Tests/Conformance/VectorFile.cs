using System.Text.Json;

namespace Swarm.Tests.Conformance;

/// <summary>
/// A file of Agent Swarm Protocol vectors. The folder is <c>SWARM_VECTORS</c>, else the copy beside the tests; a file that is not there is
/// skipped, a kind or id that nobody knows as well.
/// </summary>
public sealed class VectorFile
{
    private const string PublishedName = "agent-swarm.json";
    private const string Title = "Agent Swarm Protocol";

    private static readonly string OwnFolder = Path.Combine(AppContext.BaseDirectory, "Conformance", "vectors");
    private static readonly Lazy<VectorFile> PublishedFile = new(() => new VectorFile(Path.Combine(OwnFolder, PublishedName)));
    private static readonly Lazy<IReadOnlyList<VectorFile>> Files = new(ReadAll);

    private readonly Dictionary<string, Vector> _vectors = [];
    private readonly Dictionary<string, VectorKey> _keys = [];

    private VectorFile(string path)
    {
        Name = Path.GetFileName(path);
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        var root = document.RootElement.Clone();
        IsAgentSwarm = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("title", out var title)
            && title.GetString()!.StartsWith(Title, StringComparison.Ordinal);
        if (!IsAgentSwarm)
        {
            return;
        }

        foreach (var vector in root.GetProperty("vectors").EnumerateArray())
        {
            _vectors[vector.GetProperty("id").GetString()!] = new Vector(this, vector);
        }

        foreach (var key in root.TryGetProperty("keys", out var keys) ? keys.EnumerateArray().ToArray() : [])
        {
            _keys[key.GetProperty("name").GetString()!] = new VectorKey(
                key.GetProperty("agent_id").GetString()!,
                key.GetProperty("endpoint").GetString()!,
                Convert.FromHexString(key.GetProperty("seed_hex").GetString()!),
                key.GetProperty("public_key_b64").GetString()!);
        }
    }

    /// <summary>Our own copy of the published vectors.</summary>
    public static VectorFile Published => PublishedFile.Value;

    public string Name { get; }

    private bool IsAgentSwarm { get; }

    /// <summary>Theory rows (file, id) of some kinds; one row with empty texts when there is nothing to run.</summary>
    public static TheoryData<string, string> Rows(params string[] kinds) => Rows(_ => true, kinds);

    /// <summary>The same for the vectors that <paramref name="isMeant"/> picks.</summary>
    public static TheoryData<string, string> Rows(Func<Vector, bool> isMeant, params string[] kinds)
    {
        var rows = new TheoryData<string, string>();
        foreach (var vector in Files.Value.SelectMany(file => file._vectors.Values).Where(v => kinds.Contains(v.Kind) && isMeant(v)))
        {
            rows.Add(vector.File.Name, vector.Id);
        }

        if (!rows.Any())
        {
            // A theory without rows would fail, and a missing file is to be skipped.
            rows.Add("", "");
        }

        return rows;
    }

    /// <summary>The vector of a theory row; null for the row that stands for nothing.</summary>
    public static Vector? Find(string file, string id) => id.Length == 0 ? null : Files.Value.Single(f => f.Name == file)._vectors[id];

    /// <summary>The vector that another one builds on: in this file, else in the published one.</summary>
    public Vector Base(string id) => _vectors.TryGetValue(id, out var vector) ? vector : Published._vectors[id];

    /// <summary>The same, null when neither file has it.</summary>
    public Vector? FindBase(string id) => _vectors.GetValueOrDefault(id) ?? Published._vectors.GetValueOrDefault(id);

    public VectorKey Key(string name) => _keys.TryGetValue(name, out var key) ? key : Published._keys[name];

    private static List<VectorFile> ReadAll()
    {
        var folder = Environment.GetEnvironmentVariable("SWARM_VECTORS") is { Length: > 0 } named ? named : OwnFolder;
        return !Directory.Exists(folder)
            ? []
            : [.. Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal).Select(path => new VectorFile(path)).Where(f => f.IsAgentSwarm)];
    }
}
