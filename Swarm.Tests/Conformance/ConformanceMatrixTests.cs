using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Swarm.Tests.Conformance;

/// <summary><c>docs/conformance.md</c> is made from the <see cref="ConformsAttribute"/>s; <c>SWARM_WRITE_DOCS=1</c> writes it anew.</summary>
public sealed class ConformanceMatrixTests
{
    [Fact]
    public void Every_promised_feature_has_a_test_and_the_committed_matrix_says_which()
    {
        var tests = TestsByFeature();
        Assert.Empty(ConformanceFeatures.All.Select(feature => feature.Id).Except(tests.Keys));

        var path = Path.Combine(RepositoryRoot(), "docs", "conformance.md");
        var made = Render(tests);
        if (Environment.GetEnvironmentVariable("SWARM_WRITE_DOCS") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, made);
        }

        Assert.Equal(made, File.Exists(path) ? File.ReadAllText(path) : "docs/conformance.md is missing: run the tests with SWARM_WRITE_DOCS=1");
    }

    [Fact]
    public void No_test_names_a_feature_that_the_list_does_not_have() =>
        Assert.Empty(TestsByFeature().Keys.Except(ConformanceFeatures.All.Select(feature => feature.Id)));

    private static SortedDictionary<string, List<string>> TestsByFeature()
    {
        var tests = new SortedDictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var method in typeof(ConformanceMatrixTests).Assembly.GetTypes().SelectMany(type => type.GetMethods()))
        {
            foreach (var feature in method.GetCustomAttribute<ConformsAttribute>()?.Features ?? [])
            {
                if (!tests.TryGetValue(feature, out var names))
                {
                    tests[feature] = names = [];
                }

                names.Add($"{method.DeclaringType!.Name}.{method.Name}");
            }
        }

        return tests;
    }

    private static string Render(SortedDictionary<string, List<string>> tests)
    {
        var page = new StringBuilder(
            """
            # Conformance

            Made from the `[Conforms]` attributes of the tests; do not edit. `SWARM_WRITE_DOCS=1 dotnet test Swarm.Tests --filter ConformanceMatrixTests`
            writes it anew. Levels: W needed on the wire, L like the reference implementation locally, H hardened or documented but missing there;
            of A1: C core, S support, O optional.


            """);
        AppendTable(page, "Agent Swarm Protocol 0.1.0", ConformanceFeatures.AgentSwarm, tests);
        AppendTable(page.Append('\n'), "A1 2.8.0", ConformanceFeatures.A1, tests);
        return page.ToString();
    }

    private static void AppendTable(StringBuilder page, string title, IReadOnlyList<Feature> features, SortedDictionary<string, List<string>> tests)
    {
        page.Append($"## {title}\n\n| Feature | What | Level | Tests |\n|---|---|---|---|\n");
        foreach (var feature in features)
        {
            var names = tests.TryGetValue(feature.Id, out var found) ? found.Order(StringComparer.Ordinal) : Enumerable.Empty<string>();
            page.Append("| ").Append(feature.Id).Append(" | ").Append(feature.What).Append(" | ").Append(feature.Level).Append(" | ")
                .AppendJoin("<br>", names.Select(name => $"`{name}`")).Append(" |\n");
        }
    }

    private static string RepositoryRoot([CallerFilePath] string here = "")
    {
        // A deterministic build rewrites source paths, so the output folder is asked as well.
        foreach (var start in new[] { Path.GetDirectoryName(here), AppContext.BaseDirectory })
        {
            for (var folder = start is null ? null : new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "Swarm.sln")))
                {
                    return folder.FullName;
                }
            }
        }

        throw new InvalidOperationException("The repository was not found above the tests.");
    }
}
