using System.Buffers.Text;
using System.Text;
using System.Text.Unicode;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>
/// Why bytes are not JSON that a signed body may hold: broken syntax, a repeated member name, a lone surrogate, nesting or a number
/// beyond the limits. Offsets and texts of syntax errors are those that reference servers give (ASP §7.2 <c>json_invalid</c>).
/// </summary>
/// <param name="Offset">Where, in code points.</param>
/// <param name="Error">What, in a few words.</param>
internal sealed record JsonFault(int Offset, string Error)
{
    /// <summary>The first fault; null when there is none.</summary>
    /// <param name="json">One JSON value with white space around it.</param>
    /// <param name="depth">How many objects and arrays it stands in already.</param>
    public static JsonFault? Find(ReadOnlySpan<byte> json, int depth = 0)
    {
        if (!Utf8.IsValid(json))
        {
            return new JsonFault(0, "The text is not UTF-8");
        }

        var scanner = new Scanner(json, depth);
        scanner.Scan();
        return scanner.Error is null ? null : new JsonFault(MessageRules.CodePoints(json[..scanner.Position]), scanner.Error);
    }

    /// <summary>True when a number is finite and its text not absurdly long.</summary>
    public static bool IsInRange(ReadOnlySpan<byte> number) =>
        number.Length <= AgentSwarmLimits.JsonNumberBytesMax && Utf8Parser.TryParse(number, out double value, out _) && double.IsFinite(value);

    private ref struct Scanner(ReadOnlySpan<byte> json, int depth)
    {
        private readonly ReadOnlySpan<byte> _json = json;
        private int _depth = depth;

        public int Position { get; private set; }

        public string? Error { get; private set; }

        public void Scan()
        {
            SkipBlanks();
            if (ScanValue())
            {
                SkipBlanks();
                if (Position < _json.Length)
                {
                    Fail(Position, "Extra data");
                }
            }
        }

        private readonly byte Current => Position < _json.Length ? _json[Position] : (byte)0;

        private bool ScanValue() => Current switch
        {
            (byte)'"' => ScanString(out _),
            (byte)'{' => ScanContainer((byte)'}'),
            (byte)'[' => ScanContainer((byte)']'),
            (byte)'n' => ScanWord("null"u8),
            (byte)'t' => ScanWord("true"u8),
            (byte)'f' => ScanWord("false"u8),
            (byte)'-' or (>= (byte)'0' and <= (byte)'9') => ScanNumber(),
            _ => Fail(Position, "Expecting value"),
        };

        private bool ScanContainer(byte end)
        {
            if (++_depth > AgentSwarmLimits.JsonDepthMax)
            {
                return Fail(Position, $"Nesting is deeper than {AgentSwarmLimits.JsonDepthMax}");
            }

            var names = end == '}' ? new HashSet<string>(StringComparer.Ordinal) : null;
            Position++;
            SkipBlanks();
            if (Current == end)
            {
                return Close();
            }

            while (true)
            {
                if (names is not null && !ScanName(names))
                {
                    return false;
                }

                if (!ScanValue())
                {
                    return false;
                }

                SkipBlanks();
                if (Current == end)
                {
                    return Close();
                }

                if (Current != ',')
                {
                    return Fail(Position, "Expecting ',' delimiter");
                }

                Position++;
                SkipBlanks();
            }
        }

        private bool Close()
        {
            _depth--;
            Position++;
            return true;
        }

        private bool ScanName(HashSet<string> names)
        {
            var start = Position;
            if (Current != '"')
            {
                return Fail(start, "Expecting property name enclosed in double quotes");
            }

            if (!ScanString(out var name))
            {
                return false;
            }

            SkipBlanks();
            if (Current != ':')
            {
                return Fail(Position, "Expecting ':' delimiter");
            }

            Position++;
            SkipBlanks();
            if (!names.Add(JsonStrings.Decode(name)))
            {
                return Fail(start, "The member name is repeated");
            }

            return names.Count <= AgentSwarmLimits.JsonMembersMax
                || Fail(start, $"An object has more than {AgentSwarmLimits.JsonMembersMax} members");
        }

        private bool ScanString(out ReadOnlySpan<byte> inside)
        {
            var quote = Position;
            inside = default;
            for (var i = quote + 1; i < _json.Length; i++)
            {
                var unit = _json[i];
                if (unit == '"')
                {
                    inside = _json[(quote + 1)..i];
                    Position = i + 1;
                    return JsonStrings.TryMeasure(inside, out _, out _) || Fail(quote, "The string holds a lone surrogate");
                }

                if (unit < ' ')
                {
                    return Fail(i, "Invalid control character at");
                }

                if (unit == '\\' && !IsEscape(ref i))
                {
                    return false;
                }
            }

            return Fail(quote, "Unterminated string starting at");
        }

        private bool IsEscape(ref int i)
        {
            if (i + 1 >= _json.Length)
            {
                // The loop ends here, and the string is unterminated.
                return true;
            }

            var kind = _json[i + 1];
            if (kind == 'u')
            {
                var digits = _json[(i + 2)..];
                if (digits.Length < 4 || !IsHex(digits[..4]))
                {
                    return Fail(i + 1, "Invalid \\uXXXX escape");
                }

                i += 5;
                return true;
            }

            if ("\"\\/bfnrt"u8.IndexOf(kind) < 0)
            {
                return Fail(i, "Invalid \\escape");
            }

            i++;
            return true;
        }

        private bool ScanNumber()
        {
            var start = Position;
            var i = start + (_json[start] == '-' ? 1 : 0);
            var whole = Digits(i);
            if (whole == 0)
            {
                return Fail(start, "Expecting value");
            }

            // A leading zero ends the number, as it does for the reference.
            i += _json[i] == '0' ? 1 : whole;
            if (i < _json.Length && _json[i] == '.' && Digits(i + 1) is > 0 and var fraction)
            {
                i += 1 + fraction;
            }

            if (i < _json.Length && _json[i] is (byte)'e' or (byte)'E')
            {
                var sign = i + 1 < _json.Length && _json[i + 1] is (byte)'+' or (byte)'-' ? 1 : 0;
                if (Digits(i + 1 + sign) is > 0 and var exponent)
                {
                    i += 1 + sign + exponent;
                }
            }

            Position = i;
            return IsInRange(_json[start..i]) || Fail(start, "The number is out of range");
        }

        private readonly int Digits(int from)
        {
            var i = from;
            while (i < _json.Length && _json[i] is >= (byte)'0' and <= (byte)'9')
            {
                i++;
            }

            return i - from;
        }

        private bool ScanWord(ReadOnlySpan<byte> word)
        {
            if (!_json[Position..].StartsWith(word))
            {
                return Fail(Position, "Expecting value");
            }

            Position += word.Length;
            return true;
        }

        private void SkipBlanks()
        {
            while (Current is (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r')
            {
                Position++;
            }
        }

        private bool Fail(int position, string error)
        {
            Position = position;
            Error = error;
            return false;
        }

        private static bool IsHex(ReadOnlySpan<byte> digits)
        {
            foreach (var digit in digits)
            {
                if (!char.IsAsciiHexDigit((char)digit))
                {
                    return false;
                }
            }

            return true;
        }
    }
}
