using System.Text.Json;

namespace Swarm.Core.Capabilities.Json;

/// <summary>
/// Walks through the members of an object as A1 does (A1 §7.1): unknown ones are skipped, a known one comes at most once, a required one must come.
/// </summary>
/// <param name="names">The known members, in the order in which they are usually written; 32 at most.</param>
/// <param name="optional">One bit for each of them that may be missing.</param>
public ref struct MemberReader(byte[][] names, uint optional = 0)
{
    private uint _seen;
    private int _expected;

    /// <summary>Opens the object at which the reader stands.</summary>
    /// <exception cref="ShapeException">It stands at something else.</exception>
    public static void Open(ref Utf8JsonReader reader, string what)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new ShapeException($"{what}: an object is needed");
        }
    }

    /// <summary>Goes to the value of the next known member; false at the end of the object.</summary>
    /// <exception cref="ShapeException">A known member repeats, or a required one is missing.</exception>
    public bool Next(ref Utf8JsonReader reader, out int member)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            member = Find(ref reader);
            reader.Read();
            if (member < 0)
            {
                reader.Skip();
                continue;
            }

            var bit = 1u << member;
            if ((_seen & bit) != 0)
            {
                throw new ShapeException($"{NameOf(member)}: the member repeats");
            }

            _seen |= bit;
            _expected = member + 1;
            return true;
        }

        for (member = 0; member < names.Length; member++)
        {
            if (((_seen | optional) & (1u << member)) == 0)
            {
                throw new ShapeException($"{NameOf(member)}: the member is missing");
            }
        }

        return false;
    }

    private readonly int Find(ref Utf8JsonReader reader)
    {
        for (var i = 0; i < names.Length; i++)
        {
            var candidate = (_expected + i) % names.Length;
            if (reader.ValueTextEquals(names[candidate]))
            {
                return candidate;
            }
        }

        return -1;
    }

    private readonly string NameOf(int member) => System.Text.Encoding.UTF8.GetString(names[member]);
}
