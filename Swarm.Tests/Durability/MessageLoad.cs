using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Durability;

/// <summary>
/// Signed messages posted by many connections at once, with a record of what each was answered, and the inboxes to compare with.
/// A message that was not answered with 200 is posted again, the same bytes, until it is.
/// </summary>
internal sealed class MessageLoad(HttpClient http, HttpClient hub, Scene scene, string[] senders, string[] recipients)
{
    /// <summary>How many messages are under way at a time.</summary>
    public const int Connections = 40;

    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<Guid, Sent> _sent = new();
    private readonly Dictionary<string, Dictionary<Guid, List<long>>> _inboxes = recipients.ToDictionary(r => r, _ => new Dictionary<Guid, List<long>>());
    private readonly Dictionary<string, long> _read = recipients.ToDictionary(r => r, _ => 0L);
    private int _failures;

    public int Answered => _sent.Values.Count(m => m.IsAnswered);

    /// <summary>How many posts ended in anything but 200: broken connections, 503.</summary>
    public int Failures => _failures;

    /// <summary>Posts until told to stop. What is under way then is given up and stays unanswered.</summary>
    public Task RunAsync(CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, Connections).Select(n => Task.Run(() => RunOneAsync(n, stop))));

    /// <summary>Posts what was never answered once more.</summary>
    public async Task RetryUnansweredAsync()
    {
        foreach (var message in _sent.Values.Where(m => !m.IsAnswered))
        {
            var answer = await http.PostMessageAsync(message.Recipient, message.Wire);
            Assert.True(answer.Status == HttpStatusCode.OK, $"{(int)answer.Status} {answer.Text}");
            message.IsAnswered = true;
        }
    }

    /// <summary>
    /// Every answered message is in its recipient's inbox exactly once, no other is there twice, nothing is there that was not sent,
    /// and the numbers of each inbox have no gap.
    /// </summary>
    public async Task CheckInboxesAsync()
    {
        foreach (var recipient in recipients)
        {
            await ReadNewAsync(recipient);
        }

        foreach (var (id, message) in _sent)
        {
            var copies = _inboxes[message.Recipient].GetValueOrDefault(id)?.Count ?? 0;
            Assert.True(
                message.IsAnswered ? copies == 1 : copies <= 1,
                $"Message {id} of {message.Recipient} was {(message.IsAnswered ? "answered 200" : "not answered")} and is there {copies} times.");
        }

        foreach (var inbox in _inboxes)
        {
            Assert.All(inbox.Value.Keys, id => Assert.Equal(inbox.Key, _sent[id].Recipient));
        }
    }

    /// <summary>Reads on where the last check ended; the sequence numbers must go on by one.</summary>
    private async Task ReadNewAsync(string recipient)
    {
        while (true)
        {
            var page = (await hub.GetHubAsync($"/hub/v1/agents/{recipient}/inbox?after={_read[recipient]}&limit=100")).Ok();
            foreach (var item in page["messages"].EnumerateArray())
            {
                var seq = item.GetProperty("seq").GetInt64();
                Assert.Equal(_read[recipient] + 1, seq);
                _read[recipient] = seq;
                var id = item.GetProperty("message_id").GetGuid();
                Assert.Equal(_sent[id].Content, item.GetProperty("content").GetString());
                if (!_inboxes[recipient].TryAdd(id, [seq]))
                {
                    _inboxes[recipient][id].Add(seq);
                }
            }

            if (!page.Json.TryGetProperty("next_cursor", out var next) || next.ValueKind == JsonValueKind.Null)
            {
                return;
            }
        }
    }

    private async Task RunOneAsync(int number, CancellationToken stop)
    {
        using var pause = new PeriodicTimer(RetryAfter);
        for (var n = 0; !stop.IsCancellationRequested; n++)
        {
            var id = Guid.NewGuid();
            var recipient = recipients[(number + n) % recipients.Length];
            var content = $"message {n} of connection {number}";
            var message = new Sent(recipient, content, scene.Signed(senders[number % senders.Length], recipient, content, id));
            _sent[id] = message;
            while (!message.IsAnswered && !stop.IsCancellationRequested)
            {
                message.IsAnswered = await TryPostAsync(message);
                if (!message.IsAnswered)
                {
                    Interlocked.Increment(ref _failures);
                    await pause.WaitForNextTickAsync(CancellationToken.None);
                }
            }
        }
    }

    private async Task<bool> TryPostAsync(Sent message)
    {
        try
        {
            var answer = await http.PostMessageAsync(message.Recipient, message.Wire);
            Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable, $"{(int)answer.Status} {answer.Text}");
            return answer.Status == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or IOException)
        {
            return false;
        }
    }

    private sealed class Sent(string recipient, string content, byte[] wire)
    {
        public string Recipient { get; } = recipient;

        public string Content { get; } = content;

        public byte[] Wire { get; } = wire;

        public bool IsAnswered { get; set; }
    }
}
