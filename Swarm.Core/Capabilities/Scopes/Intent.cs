using System.Text;
using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Core.Capabilities.Scopes;

/// <summary>
/// What somebody wants to do: an action and its parameters, and their hash, which is a leaf of a scope's tree (A1 §2). A capability is the intent of the
/// same name without parameters. The action is taken as it is; parameters are normalised.
/// </summary>
public sealed class Intent
{
    /// <summary>The longest action, in UTF-8 bytes.</summary>
    public const int ActionBytesMax = 256;

    /// <summary>The longest name of a parameter after normalisation, in UTF-8 bytes.</summary>
    public const int KeyBytesMax = 128;

    /// <summary>The longest value of a parameter after normalisation, in UTF-8 bytes.</summary>
    public const int ValueBytesMax = 4096;

    public const int ParametersMax = 64;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private Intent(string action, IReadOnlyList<KeyValuePair<string, string>> parameters, Bytes32 hash) =>
        (Action, Parameters, Hash) = (action, parameters, hash);

    public string Action { get; }

    /// <summary>Normalised, in the order of their names' UTF-8 bytes.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Parameters { get; }

    public Bytes32 Hash { get; }

    /// <summary>The intent of an action and its parameters as they were sent.</summary>
    /// <exception cref="DenialException">
    /// A limit is exceeded, a text has no UTF-8 form, or two names become one by normalisation (A1 takes either, as it happens).
    /// </exception>
    public static Intent Create(string action, IReadOnlyCollection<KeyValuePair<string, string>>? parameters = null)
    {
        var actionBytes = BytesOf(action, "Intent action");
        if (actionBytes.Length == 0)
        {
            throw Malformed("Intent action cannot be empty");
        }

        if (actionBytes.Length > ActionBytesMax)
        {
            throw Malformed($"Intent action exceeds maximum length of {ActionBytesMax}");
        }

        if (parameters is not { Count: > 0 })
        {
            return new(action, [], HashOf(actionBytes, []));
        }

        if (parameters.Count > ParametersMax)
        {
            throw Malformed($"Intent exceeds maximum parameter count of {ParametersMax}");
        }

        var sorted = parameters.Select(p => Normalise(p.Key, p.Value)).ToArray();
        Array.Sort(sorted, (a, b) => a.Key.AsSpan().SequenceCompareTo(b.Key));
        for (var i = 1; i < sorted.Length; i++)
        {
            if (sorted[i].Key.AsSpan().SequenceEqual(sorted[i - 1].Key))
            {
                throw Malformed("Intent parameter keys must differ after trimming and lower-casing");
            }
        }

        return new(
            action,
            [.. sorted.Select(p => KeyValuePair.Create(Utf8.GetString(p.Key), Utf8.GetString(p.Value)))],
            HashOf(actionBytes, sorted));
    }

    /// <summary>The leaf of a capability: the intent of that name without parameters.</summary>
    /// <exception cref="DenialException">The name is empty, too long, or has no UTF-8 form.</exception>
    public static Bytes32 LeafOf(string capability) => Create(capability).Hash;

    /// <summary>
    /// The deprecated two-argument hash, which old certificates may hold. Never equal to <see cref="Hash"/>, not even without parameters.
    /// </summary>
    public static Bytes32 DeprecatedHash(string action, ReadOnlySpan<byte> parameters)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add(A1Contexts.Version);
        data.AddPrefixed(action);
        data.AddLittleEndian((ulong)parameters.Length);
        data.Add(parameters);
        return A1Contexts.IntentLeaf.Derive(data.Written);
    }

    private static Bytes32 HashOf(byte[] action, (byte[] Key, byte[] Value)[] parameters)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add(A1Contexts.Version);
        data.Add("a1::dyolo::intent::v2.8.0"u8);
        data.AddPrefixed(action);
        data.AddLittleEndian((ulong)parameters.Length);
        foreach (var (key, value) in parameters)
        {
            data.AddPrefixed(key);
            data.AddPrefixed(value);
        }

        return A1Contexts.IntentLeaf.Derive(data.Written);
    }

    private static (byte[] Key, byte[] Value) Normalise(string rawKey, string rawValue)
    {
        // Looked at first: lower-casing a lone surrogate would hide it.
        BytesOf(rawKey, "Intent parameter key");
        BytesOf(rawValue, "Intent parameter value");
        var (key, value) = (Utf8.GetBytes(IntentText.Normalise(rawKey)), Utf8.GetBytes(IntentText.Normalise(rawValue)));
        if (key.Length > KeyBytesMax)
        {
            throw Malformed($"Intent parameter key exceeds maximum length of {KeyBytesMax}");
        }

        return value.Length <= ValueBytesMax ? (key, value) : throw Malformed($"Intent parameter value exceeds maximum length of {ValueBytesMax}");
    }

    private static byte[] BytesOf(string text, string what)
    {
        try
        {
            return Utf8.GetBytes(text);
        }
        catch (EncoderFallbackException)
        {
            throw Malformed($"{what} holds a lone surrogate");
        }
    }

    private static DenialException Malformed(string reason) => new(Denial.WireFormat(reason));
}
