using System.Text;
using System.Text.Json.Nodes;
using Swarm.Cli;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;

namespace Swarm.Tests.Cli;

/// <summary>Runs command lines in a home of its own, and shows what came out.</summary>
public sealed class CliRun : IDisposable
{
    private readonly DirectoryInfo home = Directory.CreateTempSubdirectory("swarm-cli-");

    public string Home => home.FullName;

    /// <summary>The CLI's folder.</summary>
    public string Profile => Path.Combine(Home, "profile");

    public Dictionary<string, string> Variables { get; } = [];

    /// <summary>Standard input when it is not a terminal; null for a terminal at which nobody types.</summary>
    public byte[]? Input { get; set; }

    public bool OutIsTerminal { get; set; }

    /// <summary>Called after each write, with all that was written so far.</summary>
    public Action<string>? OnOutput { get; set; }

    public string Out { get; private set; } = "";

    public string Error { get; private set; } = "";

    public JsonNode Json => JsonNode.Parse(Out)!;

    public async Task<int> RunAsync(Uri? url, CancellationToken cancellation, params string[] args)
    {
        var output = new WatchedWriter(OnOutput);
        var error = new StringWriter();
        var terminal = new Terminal(new MemoryStream(Input ?? []), output, error)
        {
            InIsTerminal = Input is null, OutIsTerminal = OutIsTerminal, Width = 120,
        };
        var variables = new Dictionary<string, string>(Variables);
        variables.TryAdd("SWARM_HOME", Profile);
        if (url is not null)
        {
            variables.TryAdd("SWARM_URL", url.ToString());
        }

        var environment = new CliEnvironment(variables, Home, Home, TimeProvider.System);
        try
        {
            return await new CommandLine(terminal, environment).RunAsync(args, () => ExitCode.Interrupted, cancellation);
        }
        finally
        {
            (Out, Error) = (output.ToString(), error.ToString());
        }
    }

    public Task<int> RunAsync(Uri? url, params string[] args) => RunAsync(url, CancellationToken.None, args);

    public void Dispose() => home.Delete(recursive: true);

    private sealed class WatchedWriter(Action<string>? onOutput) : StringWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void Flush() => onOutput?.Invoke(ToString());
    }
}
