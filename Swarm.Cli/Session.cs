using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli;

/// <summary>One run of a command: which node, which agent acts, with which token, and how results are shown.</summary>
internal sealed class Session(Terminal terminal, CliEnvironment environment, string? urlOption, string? asOption, bool json) : IDisposable
{
    /// <summary>A node that starts is worth a second try; a person does not want to wait for a third of 30 s.</summary>
    private static readonly TimeSpan RetryDelayMax = TimeSpan.FromSeconds(5);

    private readonly List<SwarmClient> clients = [];
    private NodeLocation? node;
    private CliConfig? config;

    public Terminal Terminal { get; } = terminal;

    public CliEnvironment Environment { get; } = environment;

    public bool Json { get; } = json;

    public NodeLocation Node => node ??= NodeLocator.Locate(urlOption, Environment);

    public CliConfig Config => config ??= CliConfig.Load(Environment.ConfigFolder);

    public Credentials Credentials { get; } = new(environment.ConfigFolder, environment.Clock);

    /// <summary>The acting agent, or null when none is named anywhere.</summary>
    public string? ActingAgentOrNone => ActingTextOrNone is { } name ? AgentNameText.Parse(name) : null;

    /// <exception cref="CliException">Exit 1: nobody says who acts.</exception>
    public string ActingAgent => ActingAgentOrNone ?? throw NobodyActs();

    /// <summary>Who acts, as it was written: where a key may stand for an agent.</summary>
    /// <exception cref="CliException">Exit 1: nobody says.</exception>
    public string ActingText => ActingTextOrNone ?? throw NobodyActs();

    private string? ActingTextOrNone => asOption ?? Environment["SWARM_AGENT"] ?? Config.DefaultAgent;

    /// <summary>A client with the acting agent's rights: <c>SWARM_TOKEN</c>, else its stored token, else the operator's token.</summary>
    public Task<SwarmClient> ForAgentAsync(string agent, CancellationToken cancellation) =>
        ConnectAsync(
            Environment["SWARM_TOKEN"] ?? Credentials.Find(Node.Url, agent) ?? OperatorToken(),
            $"There is no token for agent '{agent}' at {Node.Url.Authority}.",
            $"Make one with 'swarm init -a {agent}' where the node runs, or put the agent's token into SWARM_TOKEN.",
            cancellation);

    /// <summary>A client with the operator's rights: <c>SWARM_TOKEN</c>, else the operator's token.</summary>
    public Task<SwarmClient> ForOperatorAsync(CancellationToken cancellation) =>
        ConnectAsync(
            Environment["SWARM_TOKEN"] ?? OperatorToken(),
            $"This needs the operator's token of {Node.Url.Authority}, and there is none here.",
            "Run it below the node's folder (.swarm/), name that folder in SWARM_DATA, or put the token into SWARM_TOKEN.",
            cancellation);

    /// <summary>A client that may look at what is nobody's own: with the acting agent's rights where it is one of ours, else with the operator's.</summary>
    public Task<SwarmClient> ForReaderAsync(CancellationToken cancellation) =>
        ActingTextOrNone is { } text && !PublicKeyText.TryParse(text, out _) && AgentNameText.TryParse(text, out var agent)
            ? ForAgentAsync(agent, cancellation)
            : ForOperatorAsync(cancellation);

    /// <summary>A client without a token, for what needs none.</summary>
    public SwarmClient Anonymous(Uri url) => Connect(url, token: null);

    /// <summary>
    /// The swarm that is meant (ASP §15): the option, else <c>SWARM_ID</c>, else <c>default_swarm</c>, else the agent's only swarm.
    /// </summary>
    /// <exception cref="CliException">Exit 2: none of them says.</exception>
    public async Task<Guid> SwarmIdAsync(string? option, string agent, SwarmClient client, CancellationToken cancellation)
    {
        if (NamedSwarmId(option) is { } named)
        {
            return named;
        }

        return await FirstSwarmsAsync(agent, client, cancellation) switch
        {
            [var only] => only,
            [] => throw CliException.BadArguments(
                $"Agent '{agent}' is in no swarm.", "Make one with 'swarm create -n NAME', or join one with 'swarm join -t TOKEN'."),
            _ => throw CliException.BadArguments(
                $"Agent '{agent}' is in more than one swarm.", "Name one with -s ID or SWARM_ID; 'swarm list' shows them."),
        };
    }

    /// <summary>What <see cref="SwarmIdAsync"/> would say without an option, and by which step (ASP §15); null when no step says anything.</summary>
    public async Task<(Guid? Id, string Via)> ResolvedSwarmAsync(string agent, SwarmClient client, CancellationToken cancellation)
    {
        if (NamedSwarmId(null) is { } named)
        {
            return (named, Environment["SWARM_ID"] is not null ? "SWARM_ID environment variable" : $"default_swarm in {CliConfig.PathIn(Environment.ConfigFolder)}");
        }

        return await FirstSwarmsAsync(agent, client, cancellation) is [var only] ? (only, "auto-detected (single swarm in DB)") : (null, "not resolved");
    }

    /// <summary>The agent's swarms, two at most: more than one is enough to know.</summary>
    private static async Task<List<Guid>> FirstSwarmsAsync(string agent, SwarmClient client, CancellationToken cancellation)
    {
        var swarms = new List<Guid>();
        await foreach (var swarm in client.ListSwarmsAsync(agent, cancellation))
        {
            swarms.Add(swarm.SwarmId);
            if (swarms.Count == 2)
            {
                break;
            }
        }

        return swarms;
    }

    /// <summary>The swarm named by the option, <c>SWARM_ID</c> or <c>default_swarm</c>; null when none of them is set.</summary>
    public Guid? NamedSwarmId(string? option) => (option, Environment["SWARM_ID"], Config.DefaultSwarm) switch
    {
        ({ } text, _, _) => SwarmIdText.Parse(text, "--swarm"),
        (_, { } text, _) => SwarmIdText.Parse(text, "SWARM_ID"),
        (_, _, { Length: > 0 } text) => SwarmIdText.Parse(text, "default_swarm in config.json"),
        _ => null,
    };

    /// <summary>Shows a result: the JSON to a script, the lines to a person.</summary>
    public int Done(JsonNode result, params string[] lines)
    {
        Terminal.WriteLine(Json ? JsonText.Pretty(result) : string.Join('\n', lines));
        return ExitCode.Ok;
    }

    /// <summary>
    /// True to go on. Scripts (<c>--json</c>) and <c>--yes</c> are not asked (ASP §15).
    /// </summary>
    /// <param name="askScripts">True where <c>--json</c> alone does not mean yes.</param>
    /// <exception cref="CliException">Exit 1: the input ended without an answer.</exception>
    public bool Confirmed(string question, bool yes, bool askScripts = false)
    {
        if (yes || (Json && !askScripts))
        {
            return true;
        }

        var answer = Terminal.Confirm(question)
            ?? throw new CliException(ExitCode.General, "There was no answer.", "Use --yes to go on without a question.");
        if (!answer && !Json)
        {
            Terminal.WriteLine("Nothing was done.");
        }

        return answer;
    }

    public void Dispose() => clients.ForEach(client => client.Dispose());

    private static CliException NobodyActs() =>
        new(ExitCode.General, "No agent is chosen.", "Make one with 'swarm init -a NAME', or name one with --as or SWARM_AGENT.");

    private async Task<SwarmClient> ConnectAsync(string? token, string missing, string hint, CancellationToken cancellation)
    {
        if (token is not null)
        {
            return Connect(Node.Url, token);
        }

        // Where nothing runs, that is the better thing to say.
        await Anonymous(Node.Url).GetHealthAsync(cancellation);
        throw new CliException(ExitCode.Permission, missing, hint);
    }

    private SwarmClient Connect(Uri url, string? token)
    {
        var client = new SwarmClient(new SwarmClientOptions
        {
            Url = url,
            Token = token,
            CaFile = url.Scheme == "https" ? Environment["SWARM_CA"] ?? (url.IsLoopback ? Node.CaFile : null) : null,
            RetryDelayMax = RetryDelayMax,
            TimeProvider = Environment.Clock,
        });
        clients.Add(client);
        return client;
    }

    private string? OperatorToken()
    {
        if (Node.OperatorTokenFile is not { } path || !Node.MayUseOperatorToken)
        {
            return null;
        }

        try
        {
            return File.Exists(path) ? File.ReadAllText(path).Trim() : null;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new CliException(
                ExitCode.Permission,
                $"You may not read the operator's token, {path}.",
                "It belongs to the user who runs the node. Act as an agent of your own (--as, SWARM_TOKEN), or become that user.",
                e);
        }
    }
}
