using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Authorize over HTTP with durable nonces (A1 §14.3): chains of some hops, each used once, or batches of intents.</summary>
internal static class AuthorizeScenario
{
    /// <summary>No machine of the class that this is meant for answers more a second; so many chains are signed before the run.</summary>
    private const int RateMax = 12_000;

    /// <summary>The same for batches, whose intents are hashed one by one.</summary>
    private const int BatchRateMax = 4_000;

    private const string Capability = "trade.equity";
    private const string Nonces = "a1_nonces";
    private const string Commits = "a1_events";

    private static readonly Option<int> HopsOption = Options.Number("--hops", "Certificates of a chain.", 1, min: 1, max: 16);
    private static readonly Option<int> BatchOption = Options.Number("--batch", "Intents of a request to the batch route; 0 for the single one.", 0, max: 256);

    public static Command Command()
    {
        var command = new Command(
            "authorize",
            """
            Authorize chains at the A1 door: parse, verify every signature, look for revocations, consume every nonce, commit with fsync.

            Examples:
              authorize --seconds 30
              authorize --hops 4
              authorize --batch 256 --json
            """);
        LoadOptions.AddTo(command);
        command.Options.Add(HopsOption);
        command.Options.Add(BatchOption);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            LoadOptions.Of(result), result.GetValue(HopsOption), result.GetValue(BatchOption), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, int hops, int batch, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        using var keys = new ChainKeys(hops);
        await keys.CreateSwarmAsync(node, cancellation);
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            var ofRun = options.OfRun(runs.Count);
            var count = (ofRun.WarmUpSeconds + ofRun.Seconds) * (batch > 0 ? BatchRateMax : RateMax) / hops;
            var requests = Progress.Run("Signing", count, tick => Sign(keys, count, batch, node.Http.Url.Authority, tick));
            runs.Add(await MeasureAsync(node, requests, hops, ofRun, cancellation));
        }

        var settings = IngestScenario.Settings(options);
        settings["hops"] = hops;
        settings["intents_of_a_batch"] = batch;
        return Report.Print("authorize", settings, runs, node.Machine, report);
    }

    private static byte[][] Sign(ChainKeys keys, int count, int batch, string authority, Action<double> tick)
    {
        var requests = new byte[count][];
        var done = 0;
        Parallel.For(0, count, i =>
        {
            requests[i] = Request(keys.Chain(), keys.Executor, batch, authority);
            if (Interlocked.Increment(ref done) is var n && n % 1000 == 0)
            {
                lock (requests)
                {
                    tick(n);
                }
            }
        });
        return requests;
    }

    private static byte[] Request(SignedChain chain, Bytes32 executor, int batch, string authority)
    {
        var body = new System.Buffers.ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(body))
        {
            json.WriteStartObject();
            json.WritePropertyName("chain");
            ChainJson.Write(json, chain);
            json.WriteString("executor_pk_hex", executor.ToString());
            if (batch == 0)
            {
                json.WriteString("intent_name", Capability);
                json.WriteBoolean("return_token", false);
            }
            else
            {
                json.WriteStartArray("intents");
                for (var i = 0; i < batch; i++)
                {
                    json.WriteStartObject();
                    json.WriteString("name", Capability);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            }

            json.WriteEndObject();
        }

        var path = batch == 0 ? "/v1/authorize" : "/v1/authorize/batch";
        return
        [
            .. Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {body.WrittenCount}\r\n\r\n"),
            .. body.WrittenSpan,
        ];
    }

    private static async Task<Run> MeasureAsync(BenchNode node, byte[][] requests, int hops, LoadOptions options, CancellationToken cancellation)
    {
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, Nonces, Commits, cancellation);
        var server = node.Api();
        var next = -1;
        var startedAt = Stopwatch.GetTimestamp();
        var measureFrom = startedAt + (options.WarmUpSeconds * Stopwatch.Frequency);
        var end = measureFrom + (options.Seconds * Stopwatch.Frequency);
        var results = await Progress.RunAsync("Loading", options.WarmUpSeconds + options.Seconds, async tick =>
        {
            using var display = new Timer(_ => tick(Stopwatch.GetElapsedTime(startedAt).TotalSeconds), null, 1000, 1000);
            return await Task.WhenAll(Enumerable.Range(0, options.Connections).Select(_ => Task.Run(RunOneAsync, cancellation)));
        });
        var elapsed = Stopwatch.GetElapsedTime(measureFrom, Math.Min(end, Stopwatch.GetTimestamp()));
        var (authorized, other) = (results.Sum(r => r.Authorized), results.Sum(r => r.Other));
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, Nonces, Commits, cancellation);
        var nonces = after.Messages - before.Messages;
        var cpu = node.Api().CpuMs - server.CpuMs;
        var figures = new JsonObject { ["rate"] = Math.Round(results.Sum(r => r.Ms.Count) / elapsed.TotalSeconds, 1) };
        new Latencies(results.SelectMany(r => r.Ms)).AddTo(figures);
        figures["authorized"] = authorized;
        figures["errors"] = other;
        figures["nonces_stored"] = nonces;
        figures["api_cpu_us_each"] = Math.Round(cpu * 1e3 / Math.Max(1, authorized), 1);
        figures["database_cpu_us_each"] = Math.Round((after.Processes.CpuMs - before.Processes.CpuMs) * 1e3 / Math.Max(1, authorized), 1);
        figures["authorized_a_commit"] = Math.Round(authorized / (double)Math.Max(1, after.Deliveries - before.Deliveries), 1);
        var ranOut = next >= requests.Length ? "All chains were used before the time was over. " : "";
        return new(figures, other == 0 && nonces == authorized * hops && ranOut.Length == 0 ? null
            : $"{ranOut}Authorized {authorized}, other answers {other} ({results.Select(r => r.FirstOther).FirstOrDefault(t => t is not null)}), nonces {nonces}.");

        async Task<(long Authorized, long Other, string? FirstOther, List<double> Ms)> RunOneAsync()
        {
            using var connection = await HttpConnection.ConnectAsync(node.Http, cancellation);
            var (authorized, other, firstOther, ms) = (0L, 0L, (string?)null, new List<double>());
            while (Stopwatch.GetTimestamp() is var sentAt && sentAt < end && Interlocked.Increment(ref next) is var i && i < requests.Length)
            {
                var status = await connection.ExchangeAsync(requests[i], cancellation);
                var answeredAt = Stopwatch.GetTimestamp();
                if (status == 200 && connection.Body.Span.IndexOf("authorized\":true"u8) >= 0)
                {
                    authorized++;
                }
                else
                {
                    other++;
                    firstOther ??= $"{status} {Encoding.UTF8.GetString(connection.Body.Span)}";
                }

                if (sentAt >= measureFrom && answeredAt <= end)
                {
                    ms.Add(Stopwatch.GetElapsedTime(sentAt, answeredAt).TotalMilliseconds);
                }
            }

            return (authorized, other, firstOther, ms);
        }
    }

    /// <summary>The owner of a swarm and one agent for each hop.</summary>
    private sealed class ChainKeys : IDisposable
    {
        private readonly Key[] _keys;
        private readonly Bytes32[] _public;
        private Bytes32 _scope;

        public ChainKeys(int hops)
        {
            _keys = [.. Enumerable.Range(0, hops + 1).Select(_ => Key.Create(SignatureAlgorithm.Ed25519, new() { ExportPolicy = KeyExportPolicies.AllowPlaintextExport }))];
            _public = [.. _keys.Select(k => Bytes32.Read(k.PublicKey.Export(KeyBlobFormat.RawPublicKey)))];
        }

        public Bytes32 Executor => _public[^1];

        public async Task CreateSwarmAsync(BenchNode node, CancellationToken cancellation)
        {
            using var http = new HttpClient { BaseAddress = node.Http.Url };
            http.DefaultRequestHeaders.Authorization = new("Bearer", node.OperatorToken);
            var body = new JsonObject
            {
                ["swarm_name"] = "bench", ["capabilities"] = new JsonArray(Capability),
                ["signing_key_hex"] = Convert.ToHexStringLower(_keys[0].Export(KeyBlobFormat.RawPrivateKey)),
            };
            using var content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
            using var answer = await http.PostAsync("/v1/swarm/create", content, cancellation);
            answer.EnsureSuccessStatusCode();
            _scope = Core.Capabilities.Scopes.Intent.LeafOf(Capability);
        }

        public SignedChain Chain()
        {
            var now = (ulong)TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
            var certificates = new DelegationCertificate[_keys.Length - 1];
            for (var hop = 0; hop < certificates.Length; hop++)
            {
                certificates[hop] = new Delegation
                {
                    Delegate = _public[hop + 1],
                    Parent = [Capability],
                    Capabilities = [Capability],
                    Namespace = "bench",
                    IssuedAt = now,
                    ExpiresAt = now + 3600,
                    MaxDepth = byte.MaxValue,
                    Nonce = Nonce.Read(Guid.NewGuid().ToByteArray()),
                }.SignedBy(_keys[hop]);
            }

            return new() { Principal = _public[0], PrincipalScope = _scope, Certificates = certificates };
        }

        public void Dispose()
        {
            foreach (var key in _keys)
            {
                key.Dispose();
            }
        }
    }
}
