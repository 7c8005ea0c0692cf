using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Tests.Conformance;

/// <summary>One vector of a file, with what the file says around it.</summary>
public sealed class Vector(VectorFile file, JsonElement json)
{
    public string Id => Text("id");

    public string Kind => Text("kind");

    public JsonElement Json => json;

    public JsonElement Expect => json.GetProperty("expect");

    public VectorFile File => file;

    public string Text(string name) => json.GetProperty(name).GetString()!;

    public string? OptionalText(string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;

    /// <summary>The vector's <c>wire</c> as bytes, with <c>content_rule</c> carried out.</summary>
    public byte[] Wire(string name = "wire")
    {
        var wire = json.GetProperty(name);
        if (!json.TryGetProperty("content_rule", out var rule))
        {
            return Encoding.UTF8.GetBytes(wire.GetRawText());
        }

        var content = string.Concat(Enumerable.Repeat(rule.GetProperty("repeat").GetString(), rule.GetProperty("count").GetInt32()));
        return Encoding.UTF8.GetBytes(wire.GetRawText().Replace("\"<content_rule>\"", JsonSerializer.Serialize(content), StringComparison.Ordinal));
    }

    /// <summary>The wire of the vector's <c>base</c> with its <c>change</c> merged in, the sender member by member.</summary>
    public byte[] ChangedWire()
    {
        var wire = System.Text.Json.Nodes.JsonNode.Parse(file.Base(Text("base")).Wire())!.AsObject();
        foreach (var change in json.GetProperty("change").EnumerateObject())
        {
            if (change.Name == "sender" && change.Value.ValueKind == JsonValueKind.Object)
            {
                foreach (var member in change.Value.EnumerateObject())
                {
                    wire["sender"]![member.Name] = System.Text.Json.Nodes.JsonNode.Parse(member.Value.GetRawText());
                }
            }
            else
            {
                wire[change.Name] = System.Text.Json.Nodes.JsonNode.Parse(change.Value.GetRawText());
            }
        }

        return Encoding.UTF8.GetBytes(wire.ToJsonString());
    }

    public override string ToString() => Id;
}

/// <summary>The keys of one agent of a vector file.</summary>
public sealed record VectorKey(string AgentId, string Endpoint, byte[] Seed, string PublicKeyText)
{
    public Key ToKey() => Key.Import(SignatureAlgorithm.Ed25519, Seed, KeyBlobFormat.RawPrivateKey);

    public PublicKey ToPublicKey() => Core.Messaging.AgentSwarm.PublicKeyText.Parse(PublicKeyText);
}
