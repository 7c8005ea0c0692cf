using System.Text;
using Microsoft.Win32.SafeHandles;
using Spectre.Console;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Output;

/// <summary>The reader of our output went away (a closed pipe): there is nobody left to write to.</summary>
internal sealed class OutputClosedException(Exception inner) : Exception("Nobody reads the output any more.", inner);

/// <summary>Standard input, output and error, and whether a person sits there.</summary>
internal sealed class Terminal(Stream input, TextWriter output, TextWriter error)
{
    /// <summary>Tables that are not shown to a person are not wrapped.</summary>
    private const int PipedWidth = 10_000;

    public bool InIsTerminal { get; init; }

    public bool OutIsTerminal { get; init; }

    public bool ErrorIsTerminal { get; init; }

    /// <summary>Columns, when a person reads.</summary>
    public int Width { get; init; } = 80;

    public TextWriter Out => output;

    public TextWriter Error => error;

    /// <summary>The process's own.</summary>
    public static Terminal OfProcess()
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var outIsTerminal = !Console.IsOutputRedirected;
        return new Terminal(
            Console.OpenStandardInput(),
            new StreamWriter(OpenOutput(), utf8),
            new StreamWriter(Console.OpenStandardError(), utf8) { AutoFlush = true })
        {
            InIsTerminal = !Console.IsInputRedirected,
            OutIsTerminal = outIsTerminal,
            ErrorIsTerminal = !Console.IsErrorRedirected,
            Width = outIsTerminal && Console.WindowWidth > 0 ? Console.WindowWidth : 80,
        };
    }

    /// <summary>Everything on standard input; null when it is more than <paramref name="bytesMax"/>.</summary>
    public byte[]? ReadInput(int bytesMax) => BoundedInput.Read(input, bytesMax);

    /// <summary>Writes text as it is to a script, and cleaned to a person.</summary>
    public void Write(string text) => Guarded(() =>
    {
        output.Write(OutIsTerminal ? TextSanitiser.Clean(text) : text);
        output.Flush();
    });

    public void WriteLine(string text = "") => Write(text + "\n");

    public void Flush() => Guarded(output.Flush);

    /// <summary>Writes a note beside the result, on standard error.</summary>
    public void Note(string text) => error.WriteLine(ErrorIsTerminal ? TextSanitiser.Clean(text) : text);

    /// <summary>Writes a table; its cells are text, never markup.</summary>
    public void WriteTable(IReadOnlyList<string> head, IEnumerable<IReadOnlyList<string>> rows)
    {
        var table = new Table { Border = OutIsTerminal ? TableBorder.Rounded : TableBorder.Simple };
        foreach (var title in head)
        {
            table.AddColumn(new TableColumn(new Text(title)) { NoWrap = false });
        }

        foreach (var row in rows)
        {
            table.AddRow(row.Select(cell => new Text(TextSanitiser.CleanLine(cell))));
        }

        Guarded(() =>
        {
            Styled(output, OutIsTerminal).Write(table);
            output.Flush();
        });
    }

    /// <summary>Runs a slow operation; a person sees that something happens.</summary>
    public Task<T> WithProgressAsync<T>(string what, Func<Task<T>> work) =>
        ErrorIsTerminal ? Styled(error, true).Status().StartAsync(Markup.Escape(what), _ => work()) : work();

    /// <summary>Asks a yes-or-no question; null when the input ends without an answer.</summary>
    public bool? Confirm(string question)
    {
        error.Write(TextSanitiser.CleanLine(question) + " [y/N] ");
        var answer = ReadLine();
        return answer is null ? null : answer.Trim().ToUpperInvariant() is "Y" or "YES";
    }

    private string? ReadLine()
    {
        const int AnswerBytesMax = 1024;
        var bytes = new List<byte>();
        for (int next; bytes.Count < AnswerBytesMax && (next = input.ReadByte()) != '\n';)
        {
            if (next < 0)
            {
                return bytes.Count == 0 ? null : Encoding.UTF8.GetString([.. bytes]);
            }

            bytes.Add((byte)next);
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    private IAnsiConsole Styled(TextWriter writer, bool person)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = person ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = person ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = person ? InteractionSupport.Detect : InteractionSupport.No,
        });
        console.Profile.Width = person ? Width : PipedWidth;
        return console;
    }

    /// <summary>
    /// The runtime's console stream does not tell that a pipe was closed, so <c>swarm inbox --follow | head</c> would never end; a plain
    /// stream tells. Not for regular files: a plain stream would keep a position of its own beside other writers of the same file.
    /// </summary>
    private static Stream OpenOutput()
    {
        if (!OperatingSystem.IsWindows() && Console.IsOutputRedirected)
        {
            var plain = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            if (!plain.CanSeek)
            {
                return plain;
            }
        }

        return Console.OpenStandardOutput();
    }

    private static void Guarded(Action write)
    {
        try
        {
            write();
        }
        catch (IOException e)
        {
            throw new OutputClosedException(e);
        }
    }
}
