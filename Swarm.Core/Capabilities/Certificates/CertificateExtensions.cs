using System.Text;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Capabilities.Certificates;

/// <summary>
/// The signed remarks of a certificate (A1 §6), in the order of their keys' UTF-8 bytes. They decide nothing in A1; <see cref="Capabilities"/> is what
/// this node uses to find a leaf's proof (A1 §20).
/// </summary>
public sealed class CertificateExtensions
{
    /// <summary>The most bytes of keys and values of a certificate that is made here; what others made is read whatever it has.</summary>
    public const int BytesMax = 16_384;

    public const string VersionKey = "dyolo.passport.v";
    public const string NamespaceKey = "dyolo.passport.namespace";
    public const string MaskKey = "dyolo.passport.mask";
    public const string CapabilitiesKey = "dyolo.passport.caps";

    public static readonly CertificateExtensions Empty = new([]);

    private static readonly Bytes32 EmptyCommitment = Empty.Commit();

    private readonly KeyValuePair<string, ExtensionValue>[] _fields;

    private CertificateExtensions(KeyValuePair<string, ExtensionValue>[] sorted) => _fields = sorted;

    public IReadOnlyList<KeyValuePair<string, ExtensionValue>> Fields => _fields;

    /// <summary>The passport's namespace as the certificate has it; null when it is absent or no text.</summary>
    public string? Namespace => this[NamespaceKey]?.Text;

    /// <summary>The mask's text, which need not be hex; null when it is absent or no text.</summary>
    public string? Mask => this[MaskKey]?.Text;

    /// <summary>The names of the scope's capabilities; null when they are absent or no list.</summary>
    public IReadOnlyList<string>? Capabilities => this[CapabilitiesKey]?.List;

    public ExtensionValue? this[string key]
    {
        get
        {
            foreach (var (name, value) in _fields)
            {
                if (name == key)
                {
                    return value;
                }
            }

            return null;
        }
    }

    /// <summary>For a certificate that is made here.</summary>
    /// <exception cref="DenialException">An empty or repeated key, more than <see cref="BytesMax"/>, or text without UTF-8 form.</exception>
    public static CertificateExtensions Create(IEnumerable<KeyValuePair<string, ExtensionValue>> fields)
    {
        var all = fields.ToArray();
        try
        {
            var total = all.Sum(f => (long)StrictUtf8.GetByteCount(f.Key) + SizeOf(f.Value));
            if (total > BytesMax)
            {
                throw new DenialException(Denial.WireFormat($"Extensions exceed maximum size of {BytesMax}"));
            }
        }
        catch (SwarmException)
        {
            throw new DenialException(Denial.WireFormat("Extensions hold a lone surrogate"));
        }

        if (all.Any(f => f.Key.Length == 0))
        {
            throw new DenialException(Denial.WireFormat("Extension key cannot be empty"));
        }

        return TrySort(all, out var extensions) ? extensions : throw new DenialException(Denial.WireFormat("Extension keys must differ"));
    }

    /// <summary>What a passport and its sub-certificates carry (A1 §12).</summary>
    /// <exception cref="DenialException">They are larger than <see cref="BytesMax"/>.</exception>
    public static CertificateExtensions OfPassport(string @namespace, NarrowingMask mask, IReadOnlyList<string>? capabilities) => Create(
    [
        new(VersionKey, 1UL),
        new(NamespaceKey, @namespace),
        new(MaskKey, mask.ToString()),
        .. capabilities is null ? [] : new[] { KeyValuePair.Create(CapabilitiesKey, ExtensionValue.Of(capabilities)) },
    ]);

    /// <summary>What the certificate's signature covers of them.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a text holds a lone surrogate; what was read from the wire does not.</exception>
    public Bytes32 Commitment() => _fields.Length == 0 ? EmptyCommitment : Commit();

    /// <summary>For what was read; false when a key repeats.</summary>
    internal static bool TrySort(KeyValuePair<string, ExtensionValue>[] fields, out CertificateExtensions extensions)
    {
        extensions = Empty;
        if (fields.Length == 0)
        {
            return true;
        }

        var keys = Array.ConvertAll(fields, f => Encoding.UTF8.GetBytes(f.Key));
        Array.Sort(keys, fields, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        for (var i = 1; i < keys.Length; i++)
        {
            if (keys[i].AsSpan().SequenceEqual(keys[i - 1]))
            {
                return false;
            }
        }

        extensions = new(fields);
        return true;
    }

    private Bytes32 Commit()
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add(A1Contexts.Version);
        data.Add("a1::dyolo::cert::ext::v2.8.0"u8);
        data.AddLittleEndian((ulong)_fields.Length);
        foreach (var (key, value) in _fields)
        {
            data.AddPrefixed(key);
            if (value.Text is { } text)
            {
                data.Add(0);
                data.AddPrefixed(text);
            }
            else if (value.Number is { } number)
            {
                data.Add(1);
                data.AddLittleEndian(number);
            }
            else
            {
                data.Add(2);
                data.AddLittleEndian((ulong)value.List!.Count);
                foreach (var item in value.List)
                {
                    data.AddPrefixed(item);
                }
            }
        }

        return A1Contexts.Extensions.Derive(data.Written);
    }

    private static long SizeOf(ExtensionValue value) => value switch
    {
        { Text: { } text } => StrictUtf8.GetByteCount(text),
        { List: { } list } => list.Sum(item => (long)StrictUtf8.GetByteCount(item)),
        _ => sizeof(ulong),
    };
}
