using System.Reflection;

namespace Swarm.Tests.StandIns;

/// <summary>A stand-in offers nothing that the package behind it does not offer in the same words.</summary>
public sealed class SubsetTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "StandIns", "api");

    [Theory]
    [InlineData("NSec.Cryptography", "nsec")]
    [InlineData("StackExchange.Redis", "stackexchange.redis")]
    [InlineData("Aspire.Components", "aspire.components")]
    [InlineData("Aspire.Hosting", "aspire.hosting")]
    public void Every_public_member_of_a_stand_in_is_in_the_list_of_its_package(string standIn, string list)
    {
        List<ApiLine> offered = [.. ApiPrinter.Print(Assembly.Load(standIn))];
        Dictionary<string, string> known = Read(list);
        IEnumerable<ApiLine> foreign = offered.Where(line => !known.TryGetValue(Key(line.Type, line.Kind, line.Signature), out string? signature)
            || (line.Kind == "type" ? !IsNarrower(line.Signature, signature) : line.Signature != signature));

        Assert.True(offered.Count > 10, "the stand-in was printed");
        Assert.True(!foreign.Any(), "Not in the package (or the list wants Swarm.Tests/StandIns/api/trim.sh):\n" + string.Join('\n', foreign));
    }

    [Theory]
    [InlineData("StackExchange.Redis", "stackexchange.redis")]
    [InlineData("Aspire.Hosting", "aspire.hosting")]
    public void Members_carry_the_marks_of_their_package(string standIn, string list)
    {
        Dictionary<string, string> marks = File.ReadLines(Path.Combine(Folder, $"{list}.marked.txt"))
            .Select(line => line.Split(" | "))
            .GroupBy(cells => Key(cells[1], cells[2], cells[3]))
            .ToDictionary(same => same.Key, same => same.First()[4]);

        IEnumerable<string> wrong = ApiPrinter.Print(Assembly.Load(standIn))
            .Select(line => (line, wanted: marks.GetValueOrDefault(Key(line.Type, line.Kind, line.Signature), string.Empty)))

            // A body that a stand-in's interface lacks matters only to those who implement it.
            .Where(pair => pair.line.Marks != pair.wanted && pair.line.Marks != pair.wanted.Replace("DefaultInterfaceMember", "", StringComparison.Ordinal).Trim())
            .Select(pair => $"{pair.line}   (wanted: '{pair.wanted}')");

        Assert.True(!wrong.Any(), string.Join('\n', wrong));
    }

    [Fact]
    public void The_printer_writes_what_the_lists_write()
    {
        string[] printed = [.. ApiPrinter.Print(typeof(Sample<>).Assembly).Where(line => line.Type.StartsWith(typeof(Sample<>).FullName!, StringComparison.Ordinal)).Select(line => line.ToString())];
        string type = typeof(Sample<>).FullName!;

        Assert.Equal(
            [
                $"{type} | ctor | protected Sample(int size = 3)",
                $"{type} | event | System.EventHandler<string?>? Changed",
                $"{type} | field | const string Word = \"w\"",
                $"{type} | field | static readonly System.Nullable<int> Count",
                $"{type} | method | System.Collections.Generic.Dictionary<string, T?[]?> Map<TItem>(in System.ReadOnlySpan<byte> data, out TItem? result, params string[] rest) where TItem : class, System.IDisposable, new()",
                $"{type} | method | abstract System.Threading.Tasks.Task<(int Number, string? Text)> RunAsync(System.DayOfWeek day = DayOfWeek.Monday, System.Threading.CancellationToken cancellation = default) | Obsolete(warning)",
                $"{type} | method | string? ToString()",
                $"{type} | property | T this[int index] {{ get; protected set; }}",
                $"{type} | property | string? Name {{ get; init; }}",
                $"{type} | type | abstract class Sample<T> : System.IDisposable where T : notnull",
                $"{type}.Kind | field | One = 1",
                $"{type}.Kind | type | enum Kind : byte [Flags]",
            ],
            printed.Select(line => line.Replace(" where T : notnull", "", StringComparison.Ordinal)).Order(StringComparer.Ordinal)
                .Select(line => line.EndsWith("IDisposable", StringComparison.Ordinal) ? line + " where T : notnull" : line));
    }

    /// <summary>Same words, same base, no interface that the package's type lacks.</summary>
    private static bool IsNarrower(string offered, string known)
    {
        string[] mine = offered.Split(" : ", 2);
        string[] real = known.Split(" : ", 2);
        return offered == known || (mine[0] == real[0] && (mine.Length == 1 || (real.Length == 2 && Names(mine[1]).IsSubsetOf(Names(real[1])))));

        static HashSet<string> Names(string bases) => [.. bases.Split(", ")];
    }

    private static Dictionary<string, string> Read(string list) => File.ReadLines(Path.Combine(Folder, $"{list}.txt"))
        .Select(line => line.Split(" | "))
        .GroupBy(cells => Key(cells[1], cells[2], cells[3]))
        .ToDictionary(same => same.Key, same => same.First()[3]);

    // One stand-in may hold several assemblies of the real packages, so the assembly's name does not count.
    private static string Key(string type, string kind, string signature) => kind == "type" ? $"{type} | type" : $"{type} | {kind} | {signature}";
}

#pragma warning disable CS1591, CA1070, CA1051, CA2211, CA1034, CA1063, CA1816, CS0067
public abstract class Sample<T> : IDisposable
    where T : notnull
{
    public const string Word = "w";
    public static readonly int? Count;

    protected Sample(int size = 3) => _ = size;

    public event EventHandler<string?>? Changed;

    [Flags]
    public enum Kind : byte
    {
        One = 1,
    }

    public string? Name { get; init; }

    public T this[int index]
    {
        get => throw new NotSupportedException();
        protected set => throw new NotSupportedException();
    }

    public Dictionary<string, T?[]?> Map<TItem>(in ReadOnlySpan<byte> data, out TItem? result, params string[] rest)
        where TItem : class, IDisposable, new() => throw new NotSupportedException();

    [Obsolete("for the test")]
    public abstract Task<(int Number, string? Text)> RunAsync(DayOfWeek day = DayOfWeek.Monday, CancellationToken cancellation = default);

    public override string? ToString() => base.ToString();

    void IDisposable.Dispose()
    {
    }

    internal void Hidden()
    {
    }
}
