using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Swarm.Tests.StandIns;

/// <summary>
/// With <c>PackageSet=full</c> every project asks for the real packages. Evaluated, not restored. The AppHost is left out: with its
/// packages its project file is an SDK that must be there to be evaluated.
/// </summary>
public sealed partial class FullPackageSetTests
{
    private static readonly string Root = FindRoot();

    public static TheoryData<string> Projects() => new(
        Directory.EnumerateFiles(Root, "Swarm.*.csproj", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file).Replace('\\', '/'))
            .Where(file => file.Split('/') is [var folder, _] && folder != "Swarm.AppHost")
            .Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Projects))]
    public async Task A_project_references_pinned_packages_and_no_stand_in(string project)
    {
        HashSet<string> standIns = StandIns();
        using JsonDocument json = JsonDocument.Parse(await EvaluateAsync(project));
        JsonElement items = json.RootElement.GetProperty("Items");
        Dictionary<string, string> pinned = Items(items, "PackageVersion").ToDictionary(item => Text(item, "Identity"), item => Text(item, "Version"));
        string[] packages = [.. Items(items, "PackageReference").Select(item => Text(item, "Identity"))];

        Assert.NotEmpty(packages);
        Assert.DoesNotContain(Items(items, "ProjectReference"), item => Path.GetRelativePath(Root, Text(item, "FullPath")).StartsWith("standins", StringComparison.OrdinalIgnoreCase));
        Assert.All(packages.Where(standIns.Contains), package =>
        {
            Assert.True(pinned.TryGetValue(package, out string? version), $"{package} has no version");
            Assert.Matches(ExactVersion(), version);
            if (package.StartsWith("Aspire.", StringComparison.Ordinal))
            {
                Assert.StartsWith("13.5.", version, StringComparison.Ordinal);
            }
        });
        Assert.Equal(Wanted(project, standIns).Order(), packages.Where(standIns.Contains).Order());
    }

    [Fact]
    public void Every_stand_in_has_a_project_that_uses_it()
    {
        IEnumerable<string> used = Directory.EnumerateFiles(Root, "Swarm.*.csproj", SearchOption.AllDirectories)
            .Where(file => !file.Contains("artifacts", StringComparison.Ordinal))
            .SelectMany(file => Wanted(Path.GetRelativePath(Root, file), StandIns()));

        Assert.Empty(StandIns().Except(used));
    }

    [GeneratedRegex(@"^\d+\.\d+\.\d+$")]
    private static partial Regex ExactVersion();

    // What the project file itself names, read as text: the evaluation must not have lost any of it.
    private static string[] Wanted(string project, HashSet<string> standIns) =>
        [.. XDocument.Load(Path.Combine(Root, project)).Descendants("PackageReference").Select(e => (string)e.Attribute("Include")!).Where(standIns.Contains)];

    private static HashSet<string> StandIns() =>
        [.. XDocument.Load(Path.Combine(Root, "Directory.Packages.standin.props")).Descendants("StandIn").Select(e => (string)e.Attribute("Include")!)];

    private static async Task<string> EvaluateAsync(string project)
    {
        string dotnet = Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet";
        var start = new ProcessStartInfo(
            dotnet,
            ["msbuild", project, "-nologo", "-nodeReuse:false", "-p:PackageSet=full", "-getItem:PackageReference,ProjectReference,PackageVersion"])
        {
            WorkingDirectory = Root,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };

        // A test run is itself a child of MSBuild, whose variables would mislead this one.
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToArray())
        {
            start.Environment.Remove(name);
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, output + await errors);
        return output;
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement items, string kind) => items.GetProperty(kind).EnumerateArray();

    private static string Text(JsonElement item, string name) => item.TryGetProperty(name, out JsonElement value) ? value.GetString()! : string.Empty;

    private static string FindRoot()
    {
        for (string? folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Swarm.sln")))
            {
                return folder;
            }
        }

        throw new InvalidOperationException("The tests run outside the repository.");
    }
}
