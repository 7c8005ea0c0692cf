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

    [Fact]
    public void Every_test_of_a_feature_says_by_what_it_shows_it() =>
        Assert.Empty(TestsByFeature().Values.SelectMany(tests => tests).Where(test => test.By is null).Select(test => test.Name).Distinct());

    [Fact]
    public void Every_weakness_of_the_reference_has_a_test_that_attacks_it() =>
        Assert.Equal(Weaknesses.Ids, Weaknesses.Tests.Select(tests => tests.Key).Order(StringComparer.Ordinal));

    private static SortedDictionary<string, List<(string Name, By? By)>> TestsByFeature()
    {
        var tests = new SortedDictionary<string, List<(string, By?)>>(StringComparer.Ordinal);
        foreach (var method in typeof(ConformanceMatrixTests).Assembly.GetTypes().Where(type => !type.IsAbstract).SelectMany(type => type.GetMethods()))
        {
            var shown = method.GetCustomAttribute<ShownAttribute>() ?? method.ReflectedType!.GetCustomAttribute<ShownAttribute>();
            foreach (var feature in method.GetCustomAttribute<ConformsAttribute>()?.Features ?? [])
            {
                if (!tests.TryGetValue(feature, out var found))
                {
                    tests[feature] = found = [];
                }

                found.Add(($"{method.ReflectedType!.Name}.{method.Name}", shown?.By));
            }
        }

        return tests;
    }

    private static string Render(SortedDictionary<string, List<(string Name, By? By)>> tests)
    {
        var page = new StringBuilder(
            """
            # Conformance

            Made from the `[Conforms]` attributes of the tests; do not edit. `SWARM_WRITE_DOCS=1 dotnet test Swarm.Tests --filter ConformanceMatrixTests`
            writes it anew. Levels: W needed on the wire, L like the reference implementation locally, H hardened or documented but missing there;
            of A1: C core, S support, O optional.
            Shown by: a published *vector*, a test on the *wire*, a test *end to end* (whole nodes, commands, a peer of another make), or *code* where it calls
            into the code.


            """);
        AppendTable(page, "Agent Swarm Protocol 0.1.0", ConformanceFeatures.AgentSwarm, tests);
        page.Append(
            """

            Left out on purpose:

            | Feature | What | Instead |
            |---|---|---|

            """);
        foreach (var (id, what, instead) in ConformanceFeatures.LeftOut)
        {
            page.Append("| ").Append(id).Append(" | ").Append(what).Append(" | ").Append(instead).Append(" |\n");
        }

        AppendTable(page.Append(Weaknesses.Render()).Append('\n'), "A1 2.8.0", ConformanceFeatures.A1, tests);
        return page.ToString();
    }

    private static void AppendTable(
        StringBuilder page, string title, IReadOnlyList<Feature> features, SortedDictionary<string, List<(string Name, By? By)>> tests)
    {
        page.Append($"## {title}\n\n| Feature | What | Level | Shown by | Tests |\n|---|---|---|---|---|\n");
        foreach (var feature in features)
        {
            var found = tests.GetValueOrDefault(feature.Id, []);
            page.Append("| ").Append(feature.Id).Append(" | ").Append(feature.What).Append(" | ").Append(feature.Level).Append(" | ")
                .AppendJoin(", ", found.Select(test => test.By).Distinct().Order().Select(NameOf)).Append(" | ")
                .AppendJoin("<br>", found.Select(test => test.Name).Order(StringComparer.Ordinal).Select(name => $"`{name}`")).Append(" |\n");
        }
    }

    private static string NameOf(By? by) => by switch
    {
        By.Vector => "vector",
        By.Wire => "wire",
        By.EndToEnd => "end to end",
        _ => "code",
    };

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
