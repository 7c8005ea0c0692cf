using System.Text.Json;

namespace Swarm.Tests.Conformance;

/// <summary>
/// A file of vectors of the Agent Swarm Protocol or of A1. The folder is <c>SWARM_VECTORS</c>, else the copy beside the tests; a file that is not there is
/// skipped, a kind or id that nobody knows as well.
/// </summary>
public sealed class VectorFile
{
    private const string PublishedName = "agent-swarm.json";
    private const string PublishedNameOfA1 = "a1.json";
    private const string Title = "Agent Swarm Protocol";

    private static readonly string OwnFolder = Path.Combine(AppContext.BaseDirectory, "Conformance", "vectors");
    private static readonly Lazy<VectorFile> PublishedFile = new(() => new VectorFile(Path.Combine(OwnFolder, PublishedName)));
    private static readonly Lazy<VectorFile> PublishedFileOfA1 = new(() => new VectorFile(Path.Combine(OwnFolder, PublishedNameOfA1)));
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
        IsA1 = root.ValueKind == JsonValueKind.Object && root.TryGetProperty("protocol", out var protocol) && protocol.GetString() == "A1";
        if (!IsAgentSwarm && !IsA1)
        {
            return;
        }

        foreach (var vector in root.GetProperty("vectors").EnumerateArray())
        {
            _vectors[vector.GetProperty("id").GetString()!] = new Vector(this, vector);
        }

        if (!root.TryGetProperty("keys", out var keys))
        {
            return;
        }

        if (IsA1)
        {
            foreach (var key in keys.EnumerateObject())
            {
                _keys[key.Name] = new VectorKey(
                    key.Value.GetProperty("did").GetString()!,
                    "",
                    Convert.FromHexString(key.Value.GetProperty("seed_hex").GetString()!),
                    Convert.ToBase64String(Convert.FromHexString(key.Value.GetProperty("public_key_hex").GetString()!)));
            }

            return;
        }

        foreach (var key in keys.EnumerateArray())
        {
            _keys[key.GetProperty("name").GetString()!] = new VectorKey(
                key.GetProperty("agent_id").GetString()!,
                key.GetProperty("endpoint").GetString()!,
                Convert.FromHexString(key.GetProperty("seed_hex").GetString()!),
                key.GetProperty("public_key_b64").GetString()!);
        }
    }

    /// <summary>Our own copy of the published vectors of the Agent Swarm Protocol.</summary>
    public static VectorFile Published => PublishedFile.Value;

    /// <summary>Our own copy of those of A1.</summary>
    public static VectorFile PublishedOfA1 => PublishedFileOfA1.Value;

    public string Name { get; }

    private bool IsAgentSwarm { get; }

    private bool IsA1 { get; }

    private VectorFile Own => IsA1 ? PublishedOfA1 : Published;

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
    public Vector Base(string id) => _vectors.TryGetValue(id, out var vector) ? vector : Own._vectors[id];

    /// <summary>The same, null when neither file has it.</summary>
    public Vector? FindBase(string id) => _vectors.GetValueOrDefault(id) ?? Own._vectors.GetValueOrDefault(id);

    public VectorKey Key(string name) => _keys.TryGetValue(name, out var key) ? key : Own._keys[name];

    private static List<VectorFile> ReadAll()
    {
        var folder = Environment.GetEnvironmentVariable("SWARM_VECTORS") is { Length: > 0 } named ? named : OwnFolder;
        return !Directory.Exists(folder)
            ? []
            : [.. Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal).Select(path => new VectorFile(path)).Where(f => f.IsAgentSwarm || f.IsA1)];
    }
}
