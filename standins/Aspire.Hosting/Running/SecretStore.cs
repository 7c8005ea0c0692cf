using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration.UserSecrets;

namespace Aspire.Hosting.Running;

/// <summary>
/// Generated values that persist between starts: the user secrets of the app host, or a 0600 file in the data area when the
/// app host has none or the home folder cannot be written.
/// </summary>
internal sealed class SecretStore
{
    private static readonly Lock WriteLock = new();
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };
    private readonly string? _userSecretsFile;
    private Func<string>? _fallbackFolder;

    private SecretStore(string? userSecretsFile) => _userSecretsFile = userSecretsFile;

    /// <summary>Kept in the data area alone.</summary>
    public static SecretStore InArea() => new(null);

    /// <summary>Kept in a file of the caller's choice, while it can be written.</summary>
    public static SecretStore At(string file) => new(file);

    /// <summary>Kept in the user secrets of the app host, while they can be written.</summary>
    public static SecretStore OfUser(Assembly? assembly)
    {
        var id = assembly?.GetCustomAttribute<UserSecretsIdAttribute>()?.UserSecretsId;
        var home = Environment.GetEnvironmentVariable("HOME");
        return new SecretStore(id is null || string.IsNullOrEmpty(home) ? null : Path.Combine(home, ".microsoft", "usersecrets", id, "secrets.json"));
    }

    public void UseFallback(Func<string> folder) => _fallbackFolder = folder;

    /// <summary>What the user secrets hold, for the configuration.</summary>
    public IEnumerable<KeyValuePair<string, string?>> Read() =>
        _userSecretsFile is not null ? Flatten(Load(_userSecretsFile), string.Empty) : [];

    public string GetOrAdd(string key, Func<string> generate)
    {
        lock (WriteLock)
        {
            foreach (var file in Candidates())
            {
                if (Flatten(Load(file), string.Empty).FirstOrDefault(p => string.Equals(p.Key, key, StringComparison.OrdinalIgnoreCase)).Value is { Length: > 0 } kept)
                {
                    return kept;
                }
            }

            var value = generate();
            Exception? refusal = null;
            foreach (var file in Candidates())
            {
                try
                {
                    Save(file, key, value);
                    return value;
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    refusal = e;
                }
            }

            throw new DistributedApplicationException($"The generated value of {key} cannot be kept: {refusal?.Message}");
        }
    }

    private IEnumerable<string> Candidates()
    {
        if (_userSecretsFile is not null)
        {
            yield return _userSecretsFile;
        }

        if (_fallbackFolder is not null)
        {
            yield return Path.Combine(_fallbackFolder(), "secrets.json");
        }
    }

    private static JsonObject Load(string file)
    {
        try
        {
            return File.Exists(file) ? JsonNode.Parse(File.ReadAllText(file), documentOptions: new() { CommentHandling = JsonCommentHandling.Skip }) as JsonObject ?? [] : [];
        }
        catch (JsonException e)
        {
            throw new DistributedApplicationException($"The secrets file {file} is not JSON: {e.Message}", e);
        }
        catch (UnauthorizedAccessException)
        {
            // Another user's home: the fallback file serves instead.
            return [];
        }
    }

    private static void Save(string file, string key, string value)
    {
        var folder = Path.GetDirectoryName(file)!;
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var secrets = Load(file);
        secrets[key] = value;
        var draft = $"{file}.{Environment.ProcessId}.tmp";
        var options = new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using (var stream = new FileStream(draft, options))
        {
            stream.Write(JsonSerializer.SerializeToUtf8Bytes(secrets, Indented));
            stream.Flush(flushToDisk: true);
        }

        File.Move(draft, file, overwrite: true);
    }

    private static IEnumerable<KeyValuePair<string, string?>> Flatten(JsonObject node, string prefix)
    {
        foreach (var (name, value) in node)
        {
            if (value is JsonObject inner)
            {
                foreach (var pair in Flatten(inner, $"{prefix}{name}:"))
                {
                    yield return pair;
                }
            }
            else
            {
                yield return new(prefix + name, value?.ToString());
            }
        }
    }
}
