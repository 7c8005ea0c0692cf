using System.Buffers.Binary;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Peer;

/// <summary>
/// A peer of the Agent Swarm Protocol that takes every message, on several ports: each is a destination of its own. It notes when each
/// arrived, and whether a lane (sender, recipient) kept its order. It verifies no signature: that would be its own cost, not the node's.
/// </summary>
internal static class PeerServer
{
    public const string PortsVariable = "SWARM_PEER_PORTS";

    public static Command Command()
    {
        var command = new Command("peer-server", "A peer that takes pushes; the push scenario starts it.") { Hidden = true };
        command.SetAction(async (_, cancellation) =>
            await RunAsync(int.Parse(Environment.GetEnvironmentVariable(PortsVariable)!, CultureInfo.InvariantCulture), cancellation));
        return command;
    }

    /// <summary>What a message says that is pushed to this peer: its number within the sender, and when it was sent.</summary>
    public static string Content(int number) =>
        string.Create(CultureInfo.InvariantCulture, $"{number:D9} {Stopwatch.GetTimestamp():D19} ").PadRight(Load.SignedMessages.ContentLength, 'x');

    private static async Task RunAsync(int ports, CancellationToken cancellation)
    {
        var arrivals = new Arrivals();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            for (var i = 0; i < ports; i++)
            {
                kestrel.Listen(IPAddress.Loopback, 0);
            }
        });
        await using var app = builder.Build();
        app.Run(context => HttpMethods.IsPost(context.Request.Method) && context.Request.Path.Value!.EndsWith("/message", StringComparison.Ordinal)
            ? TakeAsync(context, arrivals)
            : AnswerAsync(context, arrivals));
        await app.StartAsync(cancellation);
        OwnServer.EndWithParent();
        Console.WriteLine(string.Join(' ', app.Urls));
        await app.WaitForShutdownAsync(cancellation);
    }

    private static async Task TakeAsync(HttpContext context, Arrivals arrivals)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var at = Stopwatch.GetTimestamp();
        string id, sender, content;
        using (var message = JsonDocument.Parse(body.GetBuffer().AsMemory(0, (int)body.Length)))
        {
            id = message.RootElement.GetProperty("message_id").GetString()!;
            sender = message.RootElement.GetProperty("sender").GetProperty("agent_id").GetString()!;
            content = message.RootElement.GetProperty("content").GetString()!;
        }

        arrivals.Add(
            id, (sender, $"{context.Connection.LocalPort}{context.Request.Path}"), int.Parse(content.AsSpan(0, 9), CultureInfo.InvariantCulture),
            long.Parse(content.AsSpan(10, 19), CultureInfo.InvariantCulture), at);
        await WriteAsync(context, Encoding.ASCII.GetBytes($"{{\"status\":\"queued\",\"message_id\":\"{id}\"}}"));
    }

    /// <summary><c>POST /reset</c> forgets what came; <c>POST /count</c> and <c>POST /arrivals</c> tell of it.</summary>
    private static Task AnswerAsync(HttpContext context, Arrivals arrivals) => WriteAsync(context, context.Request.Path.Value switch
    {
        "/reset" => arrivals.Reset(),
        "/arrivals" => arrivals.ToBytes(),
        _ => Encoding.ASCII.GetBytes(arrivals.Count.ToString(CultureInfo.InvariantCulture)),
    });

    private static async Task WriteAsync(HttpContext context, byte[] answer)
    {
        context.Response.ContentLength = answer.Length;
        await context.Response.Body.WriteAsync(answer);
    }

    private sealed class Arrivals
    {
        private readonly Lock _lock = new();
        private readonly HashSet<string> _ids = [];
        private readonly Dictionary<(string Sender, string Recipient), int> _last = [];
        private readonly List<(long SentAt, long At)> _times = [];
        private int _repeats;
        private int _outOfOrder;

        public int Count
        {
            get
            {
                lock (_lock)
                {
                    return _times.Count;
                }
            }
        }

        public void Add(string id, (string Sender, string Recipient) lane, int number, long sentAt, long at)
        {
            lock (_lock)
            {
                if (!_ids.Add(id))
                {
                    _repeats++;
                    return;
                }

                _outOfOrder += _last.TryGetValue(lane, out var last) && number <= last ? 1 : 0;
                _last[lane] = number;
                _times.Add((sentAt, at));
            }
        }

        public byte[] Reset()
        {
            lock (_lock)
            {
                _ids.Clear();
                _last.Clear();
                _times.Clear();
                (_repeats, _outOfOrder) = (0, 0);
                return [];
            }
        }

        /// <summary>Repeats, out of order, then pairs of sent and arrived; 64-bit numbers.</summary>
        public byte[] ToBytes()
        {
            lock (_lock)
            {
                var bytes = new byte[(2 + _times.Count * 2) * sizeof(long)];
                BinaryPrimitives.WriteInt64LittleEndian(bytes, _repeats);
                BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(8), _outOfOrder);
                for (var i = 0; i < _times.Count; i++)
                {
                    BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16 + i * 16), _times[i].SentAt);
                    BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24 + i * 16), _times[i].At);
                }

                return bytes;
            }
        }
    }
}
