using System.Net;
using System.Net.Http.Headers;

namespace Swarm.Tests.Infrastructure;

/// <summary>A node as it runs in production: the real Worker migrates, the real Api serves, both in processes of their own.</summary>
internal sealed class NodeProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(90);

    private readonly Dictionary<string, string?> _environment;
    private readonly string? _ownFolder;
    private readonly List<string> _unforeseen = [];
    private ChildProcess? _api;

    private NodeProcess(string connectionString, string dataFolder, string? ownFolder, string masterKey, IReadOnlyDictionary<string, string?>? more)
    {
        ConnectionString = connectionString;
        DataFolder = dataFolder;
        _ownFolder = ownFolder;
        var ports = FreePorts.Take(3);
        Url = new($"http://127.0.0.1:{ports[0]}");
        _environment = new()
        {
            ["ConnectionStrings__swarm"] = connectionString,
            ["Swarm__MasterKey"] = masterKey,
            ["Swarm__DataFolder"] = dataFolder,
            ["Swarm__PublicUrl"] = $"https://127.0.0.1:{ports[1]}",
            ["Kestrel__Endpoints__http__Url"] = $"http://127.0.0.1:{ports[0]}",
            ["Kestrel__Endpoints__https__Url"] = $"https://127.0.0.1:{ports[1]}",
            ["Kestrel__Endpoints__grpc__Url"] = $"http://127.0.0.1:{ports[2]}",
            ["Limits__SenderPerMinute"] = "0", // Loads with few senders; the limits have tests of their own.
            ["Logging__LogLevel__Default"] = "Warning",
            ["DOTNET_ENVIRONMENT"] = "Production",
            ["ASPNETCORE_ENVIRONMENT"] = null,
        };
        foreach (var (name, value) in more ?? new Dictionary<string, string?>())
        {
            _environment[name] = value;
        }

        Http = Client();
        Hub = Client();
    }

    /// <summary>A key that is long enough, for tests that do not care.</summary>
    public const string MasterKey = "a master key for tests only, long enough";

    public Uri Url { get; }

    public string ConnectionString { get; }

    public string DataFolder { get; }

    /// <summary>A client of the doors, without any token.</summary>
    public HttpClient Http { get; }

    /// <summary>A client of the Hub API with the operator's token.</summary>
    public HttpClient Hub { get; }

    /// <summary>What the Api, and those that were killed before it, wrote of unforeseen failures; then the last lines of this one.</summary>
    public string Log => string.Join('\n', [.. _unforeseen, .. _api?.Unforeseen ?? [], _api?.Output ?? ""]);

    /// <summary>A node that is not started yet.</summary>
    /// <param name="connectionString">Its database.</param>
    /// <param name="dataFolder">Its data folder; null for a new one that goes with the node.</param>
    /// <param name="masterKey">Its master key.</param>
    /// <param name="environment">More variables for its processes.</param>
    public static NodeProcess Create(
        string connectionString, string? dataFolder = null, string masterKey = MasterKey, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var own = dataFolder is null ? Directory.CreateTempSubdirectory("swarm-node-").FullName : null;
        return new(connectionString, dataFolder ?? own!, own, masterKey, environment);
    }

    /// <summary>Migrates, starts the Api, and waits until it is healthy.</summary>
    public static async Task<NodeProcess> StartNewAsync(string connectionString)
    {
        var node = Create(connectionString);
        var (code, output) = await node.RunWorkerAsync("migrate");
        Assert.True(code == 0, output);
        await node.StartAsync();
        return node;
    }

    /// <summary>One more variable, for the processes that are started from now on.</summary>
    public void Set(string name, string? value) => _environment[name] = value;

    /// <summary>Runs the Worker with a command that ends.</summary>
    public Task<(int ExitCode, string Output)> RunWorkerAsync(params string[] arguments)
    {
        var dll = Dll("Swarm.Worker");
        return ChildProcess.RunAsync(Path.GetDirectoryName(dll)!, _environment, "dotnet", [dll, .. arguments]);
    }

    /// <summary>Starts the Worker's loops; they run until it is disposed.</summary>
    /// <param name="port">Where it tells of its health; 0 for anywhere.</param>
    public ChildProcess StartWorker(int port = 0)
    {
        var environment = _environment.Where(v => !v.Key.StartsWith("Kestrel__", StringComparison.Ordinal)).ToDictionary();
        environment["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}";
        var dll = Dll("Swarm.Worker");
        return ChildProcess.Start(Path.GetDirectoryName(dll)!, environment, "dotnet", dll, "run");
    }

    /// <summary>Starts the Api where it is expected to refuse, and waits for its end.</summary>
    public async Task<(int ExitCode, string Output)> RunApiToItsEndAsync()
    {
        _api = StartApi();
        return (await _api.WaitAsync(StartLimit), _api.Output);
    }

    /// <summary>Starts the Api on the ports that it always has, and waits until it is healthy.</summary>
    public async Task StartAsync()
    {
        _unforeseen.AddRange(_api?.Unforeseen ?? []);
        _api = StartApi();
        await Eventually.TrueAsync($"the Api is healthy:\n{_api.Output}", IsHealthyAsync, StartLimit);
        var token = (await File.ReadAllTextAsync(Path.Combine(DataFolder, "operator.token"))).Trim();
        Hub.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    /// <summary>SIGKILL.</summary>
    public Task KillAsync() => _api!.KillAsync();

    /// <summary>SIGSTOP, or SIGCONT.</summary>
    public void Freeze(bool frozen)
    {
        if (frozen)
        {
            _api!.Freeze();
        }
        else
        {
            _api!.Thaw();
        }
    }

    public async Task<bool> IsHealthyAsync()
    {
        if (_api!.HasExited)
        {
            throw new InvalidOperationException($"The Api ended:\n{_api.Output}");
        }

        try
        {
            using var answer = await Http.GetAsync("/health");
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        Hub.Dispose();
        if (_api is not null)
        {
            await _api.DisposeAsync();
        }

        if (_ownFolder is not null)
        {
            Directory.Delete(_ownFolder, recursive: true);
        }
    }

    private ChildProcess StartApi()
    {
        var dll = Dll("Swarm.Api");
        return ChildProcess.Start(Path.GetDirectoryName(dll)!, _environment, "dotnet", dll);
    }

    private HttpClient Client() => new(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(5) })
    {
        BaseAddress = Url,
        Timeout = TimeSpan.FromSeconds(30),
    };

    /// <summary>Every project builds into its own folder beside the tests': <c>bin/NAME/CONFIGURATION</c>.</summary>
    private static string Dll(string name)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        var path = Path.Combine(own.Parent!.Parent!.FullName, name, own.Name, $"{name}.dll");
        return File.Exists(path) ? path : throw new InvalidOperationException($"{path} is not built.");
    }
}
