using System.Text.Json;
using Swarm.Cli.Output;

namespace Swarm.Cli.Profile;

/// <summary>The file's form.</summary>
internal sealed record CredentialFile(IReadOnlyList<Credential> Agents);

/// <summary>An agent's token at one node. It is never sent to another one.</summary>
internal sealed record Credential(string Node, string Agent, string Token);

/// <summary>The agents' tokens, <c>credentials.json</c> in the CLI's folder, mode 0600.</summary>
internal sealed class Credentials(string folder, TimeProvider clock)
{
    /// <summary>The longest wait for another <c>swarm</c> that writes the same file.</summary>
    private static readonly TimeSpan LockWaitMax = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan LockPoll = TimeSpan.FromMilliseconds(20);

    public string FilePath { get; } = Path.Combine(folder, "credentials.json");

    public string? Find(Uri node, string agent) => Load().FirstOrDefault(entry => IsFor(entry, Key(node), agent))?.Token;

    /// <summary>Stores the token in place of an older one of the same agent at the same node.</summary>
    public async Task StoreAsync(Uri node, string agent, string token, CancellationToken cancellation)
    {
        PrivateFiles.EnsureFolder(folder);
        await using var held = await LockAsync(cancellation);
        var others = Load().Where(entry => !IsFor(entry, Key(node), agent));
        Save([.. others, new Credential(Key(node), agent, token)]);
    }

    public async Task ForgetAsync(Uri node, string agent, CancellationToken cancellation)
    {
        if (Find(node, agent) is null)
        {
            return;
        }

        await using var held = await LockAsync(cancellation);
        Save([.. Load().Where(entry => !IsFor(entry, Key(node), agent))]);
    }

    private static bool IsFor(Credential entry, string node, string agent) =>
        string.Equals(entry.Node, node, StringComparison.Ordinal) && string.Equals(entry.Agent, agent, StringComparison.Ordinal);

    private static string Key(Uri node) => node.GetLeftPart(UriPartial.Authority);

    private IReadOnlyList<Credential> Load()
    {
        if (!File.Exists(FilePath))
        {
            return [];
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(FilePath), CliJson.Default.CredentialFile)?.Agents ?? [];
        }
        catch (JsonException)
        {
            throw new CliException(
                ExitCode.General, $"{FilePath} cannot be read.", "Remove it, and run 'swarm init -a NAME --force' for each agent.");
        }
    }

    private void Save(IReadOnlyList<Credential> agents) =>
        PrivateFiles.Write(FilePath, JsonSerializer.Serialize(new CredentialFile(agents), CliJson.Default.CredentialFile) + "\n");

    private async Task<FileStream> LockAsync(CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                return PrivateFiles.OpenAlone(FilePath + ".lock", FileMode.OpenOrCreate);
            }
            catch (IOException e) when (e is not (DirectoryNotFoundException or FileNotFoundException))
            {
                if (clock.GetElapsedTime(started) > LockWaitMax)
                {
                    throw new CliException(
                        ExitCode.General, $"Another swarm command holds {FilePath}.lock.", "Try again when it has ended.");
                }
            }

            await Task.Delay(LockPoll, clock, cancellation);
        }
    }
}
