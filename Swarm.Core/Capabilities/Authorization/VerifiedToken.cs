using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Capabilities.Json;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>How a token is written (A1 §20).</summary>
public enum TokenForm
{
    /// <summary>Hashes and MAC as hex text: what the TypeScript SDK accepts, and the usual form.</summary>
    Hex,

    /// <summary>As A1 itself: hashes as arrays of integers, the MAC as hex text.</summary>
    Native,

    /// <summary>As the Go SDK decodes it: the receipt as a text that holds JSON, the MAC as an array of integers.</summary>
    Go,
}

/// <summary>
/// A receipt with the gateway's MAC over it (A1 §11.2). It neither expires nor names an audience: whoever accepts one looks at its time.
/// </summary>
public sealed class VerifiedToken
{
    private static readonly byte[][] Members = WireValues.Names("receipt", "mac", "receipt_json");

    private readonly Bytes32 _mac;
    private readonly Denial? _fault;

    private VerifiedToken(VerificationReceipt receipt, Bytes32 mac, Denial? fault) => (Receipt, _mac, _fault) = (receipt, mac, fault);

    /// <summary>Nothing in it is true before <see cref="Check"/> says so.</summary>
    public VerificationReceipt Receipt { get; }

    public Bytes32 Mac => _mac;

    /// <param name="receipt">What to vouch for.</param>
    /// <param name="macKey">The gateway's key, 32 bytes.</param>
    public static VerifiedToken Issue(VerificationReceipt receipt, ReadOnlySpan<byte> macKey) => new(receipt, MacOf(receipt, macKey), null);

    /// <summary>
    /// Reads a token in any form. A MAC that cannot be one is no wrong shape: <see cref="Check"/> reports it (A1 §14.3: 401, not 422).
    /// </summary>
    /// <exception cref="ShapeException">It is no token.</exception>
    public static VerifiedToken Read(ref Utf8JsonReader reader)
    {
        VerificationReceipt? receipt = null;
        Bytes32 mac = default;
        Denial? fault = null;
        MemberReader.Open(ref reader, "token");
        var members = new MemberReader(Members, optional: 0b101);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    receipt = VerificationReceipt.Read(ref reader);
                    break;
                case 1:
                    mac = ReadMac(ref reader, out fault);
                    break;
                default:
                    receipt ??= ReadEmbedded(WireValues.ReadText(ref reader, "receipt_json"));
                    break;
            }
        }

        return new(receipt ?? throw new ShapeException("receipt: the member is missing"), mac, fault);
    }

    /// <summary>Null when the token is the gateway's own; compares in constant time.</summary>
    public Denial? Check(ReadOnlySpan<byte> macKey) =>
        _fault ?? (CryptographicOperations.FixedTimeEquals(MacOf(Receipt, macKey).AsSpan(), _mac.AsSpan()) ? null : Denial.MacVerificationFailed);

    public void Write(Utf8JsonWriter json, TokenForm form)
    {
        json.WriteStartObject();
        if (form == TokenForm.Go)
        {
            var inner = new ArrayBufferWriter<byte>(512);
            using (var receipt = new Utf8JsonWriter(inner))
            {
                Receipt.Write(receipt, asArrays: true);
            }

            json.WriteString("receipt_json"u8, inner.WrittenSpan);
            WireValues.WriteBytes(json, "mac"u8, _mac.AsSpan());
        }
        else
        {
            json.WritePropertyName("receipt"u8);
            Receipt.Write(json, asArrays: form == TokenForm.Native);
            json.WriteString("mac"u8, _mac.ToString());
        }

        json.WriteEndObject();
    }

    /// <summary>What the MAC is taken of, for people who compare implementations.</summary>
    public static byte[] CanonicalBytes(VerificationReceipt receipt)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add("a1_dyolo_v2.8.0:"u8);
        data.AddBigEndian(receipt.ChainDepth);
        data.Add(receipt.VerifiedScopeRoot);
        data.Add(receipt.Intent);
        data.AddBigEndian(receipt.VerifiedAtUnix);
        data.Add(receipt.ChainFingerprint);
        var @namespace = Encoding.UTF8.GetBytes(receipt.Namespace ?? "");
        data.AddBigEndian((ulong)@namespace.Length);
        data.Add(@namespace);
        return data.Written.ToArray();
    }

    private static Bytes32 MacOf(VerificationReceipt receipt, ReadOnlySpan<byte> macKey)
    {
        Bytes32 mac = default;
        Blake3.KeyedHash(macKey, CanonicalBytes(receipt), MemoryMarshal.AsBytes(new Span<Bytes32>(ref mac)));
        return mac;
    }

    private static Bytes32 ReadMac(ref Utf8JsonReader reader, out Denial? fault)
    {
        fault = null;
        if (reader.TokenType != JsonTokenType.String)
        {
            return WireValues.ReadBytes32(ref reader, "mac");
        }

        var text = WireValues.ReadText(ref reader, "mac");
        if (!Bytes32.TryParse(text, out var mac))
        {
            fault = Denial.WireFormat(HexText.IsHex(text) ? "MAC must be 32 bytes" : "invalid MAC hex");
        }

        return mac;
    }

    private static VerificationReceipt ReadEmbedded(string text)
    {
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
            reader.Read();
            var receipt = VerificationReceipt.Read(ref reader);
            return reader.Read() ? throw new ShapeException("receipt_json: something follows the receipt") : receipt;
        }
        catch (JsonException)
        {
            throw new ShapeException("receipt_json: the text holds no JSON object");
        }
    }
}
