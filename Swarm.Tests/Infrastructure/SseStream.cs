using System.Text;
using System.Text.Json;

namespace Swarm.Tests.Infrastructure;

/// <summary>One server-sent event.</summary>
internal sealed record SseEvent(long? Id, string Name, JsonElement Data);

/// <summary>Reads an inbox's stream as any client would.</summary>
internal sealed class SseStream : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly HttpResponseMessage _answer;
    private readonly StreamReader _reader;

    private SseStream(HttpResponseMessage answer, StreamReader reader) => (_answer, _reader) = (answer, reader);

    /// <summary>Opens the stream; returns when the node has said hello, so that nothing sent from now on is before it.</summary>
    public static async Task<SseStream> OpenAsync(HttpClient client, string agent, long? lastEventId = null)
    {
        var answer = await AskAsync(client, agent, lastEventId, CancellationToken.None);
        Assert.True(answer.IsSuccessStatusCode, $"{answer.StatusCode}");
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        return new(answer, new StreamReader(await answer.Content.ReadAsStreamAsync(), Encoding.UTF8));
    }

    /// <summary>Opens the stream of a node that may be broken: null when it answers with 503 or 429.</summary>
    public static async Task<SseStream?> TryOpenAsync(HttpClient client, string agent, long lastEventId, CancellationToken cancellation)
    {
        var answer = await AskAsync(client, agent, lastEventId, cancellation);
        if (answer.IsSuccessStatusCode)
        {
            return new(answer, new StreamReader(await answer.Content.ReadAsStreamAsync(cancellation), Encoding.UTF8));
        }

        using (answer)
        {
            return answer.StatusCode is System.Net.HttpStatusCode.ServiceUnavailable or System.Net.HttpStatusCode.TooManyRequests
                ? null
                : throw new InvalidOperationException($"The stream was answered with {answer.StatusCode}.");
        }
    }

    /// <summary>The next event; null when the stream has ended.</summary>
    public async Task<SseEvent?> NextAsync()
    {
        using var limit = new CancellationTokenSource(Limit);
        return await NextAsync(limit.Token);
    }

    /// <summary>As above, for as long as the caller waits.</summary>
    public async Task<SseEvent?> NextAsync(CancellationToken cancellation)
    {
        long? id = null;
        var (name, data) = ("message", new StringBuilder());
        while (await ReadLineAsync(cancellation) is { } line)
        {
            if (line.Length == 0)
            {
                if (data.Length > 0)
                {
                    return new(id, name, JsonElement.Parse(data.ToString()));
                }
            }
            else if (line.StartsWith("id: ", StringComparison.Ordinal))
            {
                id = long.Parse(line[4..]);
            }
            else if (line.StartsWith("event: ", StringComparison.Ordinal))
            {
                name = line[7..];
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                data.Append(line[6..]);
            }
            else
            {
                Assert.StartsWith(":", line, StringComparison.Ordinal);
            }
        }

        return null;
    }

    /// <summary>The next message's content.</summary>
    public async Task<string> NextContentAsync()
    {
        var next = await NextAsync();
        Assert.Equal("message", next?.Name);
        return next!.Data.GetProperty("content").GetString()!;
    }

    public void Dispose()
    {
        _reader.Dispose();
        _answer.Dispose();
    }

    private static async Task<HttpResponseMessage> AskAsync(HttpClient client, string agent, long? lastEventId, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/hub/v1/agents/{agent}/inbox/stream");
        if (lastEventId is { } id)
        {
            request.Headers.Add("Last-Event-ID", $"{id}");
        }

        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
    }

    private async Task<string?> ReadLineAsync(CancellationToken cancellation)
    {
        try
        {
            return await _reader.ReadLineAsync(cancellation);
        }
        catch (IOException)
        {
            // The node cut it off, which ends it as well.
            return null;
        }
    }
}
