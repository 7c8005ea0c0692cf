using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Swarm.Client.Transport;

/// <summary>One call of the Hub API: its body is written once, so that a second try sends the same bytes.</summary>
/// <param name="Path">Relative to <see cref="Root"/>, query included.</param>
internal sealed record HubRequest(HttpMethod Method, string Path)
{
    /// <summary>The Hub API, or another door of the node, with a slash at its end.</summary>
    public string Root { get; init; } = "hub/v1/";

    public byte[]? Body { get; init; }

    /// <summary>True when a second execution changes nothing, so that a lost answer may be tried again.</summary>
    public bool Idempotent { get; init; }

    public string? IdempotencyKey { get; init; }

    /// <summary>True for calls that need no bearer token, and so send none.</summary>
    public bool Anonymous { get; init; }

    /// <summary>What the node may take on top of the usual time-out.</summary>
    public TimeSpan ExtraTime { get; init; }

    public static HubRequest Get(string path) => new(HttpMethod.Get, path) { Idempotent = true };

    public static HubRequest Delete(string path) => new(HttpMethod.Delete, path) { Idempotent = true };

    public static HubRequest Put<T>(string path, T body, JsonTypeInfo<T> type) =>
        new(HttpMethod.Put, path) { Body = JsonSerializer.SerializeToUtf8Bytes(body, type), Idempotent = true };

    public static HubRequest PostNothing(string path) => new(HttpMethod.Post, path);

    public static HubRequest Post<T>(string path, T body, JsonTypeInfo<T> type) =>
        new(HttpMethod.Post, path) { Body = JsonSerializer.SerializeToUtf8Bytes(body, type) };
}
