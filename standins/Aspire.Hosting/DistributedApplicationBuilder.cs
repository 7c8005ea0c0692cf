using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>Reads the app host's configuration and collects its resources.</summary>
internal sealed class DistributedApplicationBuilder : IDistributedApplicationBuilder
{
    /// <summary>The command line switches of an app host, and the configuration keys they set.</summary>
    private static readonly Dictionary<string, string> Switches = new()
    {
        ["--operation"] = "AppHost:Operation",
        ["--publisher"] = "Publishing:Publisher",
        ["--output-path"] = "Pipeline:OutputPath",
        ["--step"] = "Pipeline:Step",
    };

    private readonly TestingHook? _testing;

    public DistributedApplicationBuilder(DistributedApplicationOptions options)
    {
        _testing = TestingHook.Current;
        _testing?.Configure(options);
        Options = options;
        var assembly = options.AssemblyName is { } name ? Assembly.Load(name) : _testing?.EntryAssembly ?? Assembly.GetEntryAssembly();
        AppHostDirectory = options.ProjectDirectory ?? FindProjectFolder(assembly) ?? Directory.GetCurrentDirectory();

        var environmentName = System.Environment.GetEnvironmentVariable("DOTNET_ENVIRONMENT")
            ?? System.Environment.GetEnvironmentVariable("ASPIRE_ENVIRONMENT") ?? Environments.Production;
        Environment = new HostEnvironment(environmentName, assembly?.GetName().Name ?? "AppHost", AppHostDirectory);
        Configuration.AddJsonFile(Path.Combine(AppHostDirectory, "appsettings.json"), optional: true);
        Configuration.AddJsonFile(Path.Combine(AppHostDirectory, $"appsettings.{environmentName}.json"), optional: true);
        Secrets = HasAreaOfItsOwn(options.Args) ? SecretStore.InArea() : SecretStore.OfUser(assembly);
        Configuration.AddInMemoryCollection(Secrets.Read());
        Configuration.AddEnvironmentVariables();
        Configuration.AddCommandLine(options.Args ?? [], Switches);

        var publishes = Configuration["AppHost:Operation"] is { } operation
            ? operation.Equals("publish", StringComparison.OrdinalIgnoreCase)
            : Configuration["Publishing:Publisher"] is not null;
        ExecutionContext = new(publishes ? DistributedApplicationOperation.Publish : DistributedApplicationOperation.Run);
        Area = new Lazy<DataArea>(() => DataArea.Open(Configuration, AppHostDirectory));
        Secrets.UseFallback(() => Area.Value.Root);
    }

    public DistributedApplicationOptions Options { get; }

    public ConfigurationManager Configuration { get; } = new();

    public string AppHostDirectory { get; }

    public IHostEnvironment Environment { get; }

    public DistributedApplicationExecutionContext ExecutionContext { get; }

    public IResourceCollection Resources { get; } = new ResourceCollection();

    public SecretStore Secrets { get; }

    /// <summary>Made when first asked for: publishing writes nothing there.</summary>
    public Lazy<DataArea> Area { get; }

    public bool IsTesting => _testing is not null;

    public IResourceBuilder<T> AddResource<T>(T resource)
        where T : IResource
    {
        Resources.Add(resource);
        return CreateResourceBuilder(resource);
    }

    public IResourceBuilder<T> CreateResourceBuilder<T>(T resource)
        where T : IResource => new ResourceBuilder<T>(this, resource);

    public DistributedApplication Build()
    {
        _testing?.OnBuilding(this);
        var app = new DistributedApplication(this);
        _testing?.OnBuilt(app);
        return app;
    }

    /// <summary>An app host that was given a data area keeps its secrets there, apart from those of the user's own starts.</summary>
    private static bool HasAreaOfItsOwn(string[]? args) =>
        new ConfigurationBuilder().AddEnvironmentVariables().AddCommandLine(args ?? [], Switches).Build()[DataArea.Key] is not null;

    /// <summary>The build leaves the folder of an app host's project in its generated class <c>Projects.NAME</c>.</summary>
    private static string? FindProjectFolder(Assembly? assembly) =>
        assembly?.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(a => a.Key == "apphostprojectpath")?.Value is { } path && Directory.Exists(path)
            ? path
            : null;

    private sealed class HostEnvironment(string environmentName, string applicationName, string folder) : IHostEnvironment
    {
        public string EnvironmentName { get; set; } = environmentName;

        public string ApplicationName { get; set; } = applicationName;

        public string ContentRootPath { get; set; } = folder;

        public IFileProvider ContentRootFileProvider { get; set; } = new NullFileProvider();
    }
}
