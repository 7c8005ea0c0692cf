using System.Buffers;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>
/// A1's validation on one core, without door and storage: chains of 1, 2 and 4 certificates that each narrow their parent's scope, and a batch.
/// Certificates are issued before the clock starts; only verification is timed.
/// </summary>
internal static class AuthorizeCoreScenario
{
    private const ulong Now = 1_700_000_000;
    private static readonly int[] Hops = [1, 2, 4];
    private static readonly Option<int> MillisecondsOption = Options.Number("--ms", "How long to measure each figure, in milliseconds.", 1_000, min: 10);

    public static Command Command()
    {
        var command = new Command(
            "authorize-core",
            """
            Validate delegation chains on one core, in memory: authorizations a second, how much of one is Ed25519, reading from JSON, a batch of 256.

            Examples:
              authorize-core
              authorize-core --ms 3000 --runs 5 --json
            """);
        command.Options.Add(MillisecondsOption);
        ReportOptions.AddTo(command);
        command.SetAction(result => Run(TimeSpan.FromMilliseconds(result.GetValue(MillisecondsOption)), ReportOptions.Of(result)));
        return command;
    }

    private static int Run(TimeSpan each, ReportOptions report)
    {
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            var bench = new Bench();
            var figures = new JsonObject();
            var fault = Hops.Aggregate((string?)null, (earlier, hops) => earlier ?? bench.MeasureChain(hops, each, figures));
            runs.Add(new(figures, fault ?? bench.MeasureBatch(each, figures)));
        }

        return Report.Print("authorize-core", new() { ["ms"] = each.TotalMilliseconds }, runs, Machine.Measure(), report);
    }

    private sealed class Bench
    {
        private static readonly AuthorizationRules Rules = new();

        private readonly PublicKeys _publicKeys = new();
        private readonly Key[] _keys = [.. Enumerable.Range(0, 5).Select(_ => Key.Create(SignatureAlgorithm.Ed25519))];
        private readonly Authorizer _authorizer;

        public Bench() => _authorizer = new(_publicKeys);

        /// <summary>Writes a chain's figures; returns what of it did not hold, or null.</summary>
        public string? MeasureChain(int hops, TimeSpan each, JsonObject figures)
        {
            // The last certificate has one capability left, as agents of the SDKs need it.
            string[][] scopes = [.. Enumerable.Range(1, hops).Select(hop => Names(hops - hop + 1))];
            var chain = Chain(Names(hops + 1), scopes);
            var json = Write(chain);
            var request = new IntentRequest(Intent.Create(scopes[^1][0]));
            var executor = KeyOf(hops);
            if (!Authorize(Read(json), executor, request).IsAuthorized)
            {
                return $"A sound chain of {hops} certificates is refused.";
            }

            var forged = chain.Certificates.ToArray();
            forged[^1] = forged[^1] with { IssuedAt = Now - 1 };
            if (Authorize(chain with { Certificates = forged }, executor, request).Denial?.Kind != DenialKind.InvalidSignature)
            {
                return $"A forged chain of {hops} certificates is not refused.";
            }

            var digest = chain.Certificates[0].Digest().ToArray();
            var signature = chain.Certificates[0].Signature.ToArray();
            var key = _publicKeys.Get(chain.Principal.AsSpan());
            var seconds = Steady.SecondsOf(
                each,
                () => SignatureAlgorithm.Ed25519.Verify(key, digest, signature),
                () => Authorize(chain, executor, request),
                () => Read(json));
            var (verification, authorization, reading) = (seconds[0], seconds[1], seconds[2]);
            figures[$"hops_{hops}_rate"] = Math.Round(1 / authorization);
            figures[$"hops_{hops}_us"] = Math.Round(authorization * 1e6, 1);
            figures[$"hops_{hops}_ed25519_percent"] = Math.Round(100 * hops * verification / authorization, 1);
            figures[$"hops_{hops}_read_us"] = Math.Round(reading * 1e6, 1);
            figures[$"hops_{hops}_json_bytes"] = json.Length;
            return null;
        }

        /// <summary>The same for a batch as large as it may be, over a scope whose names the certificate lists.</summary>
        public string? MeasureBatch(TimeSpan each, JsonObject figures)
        {
            var names = Names(Authorizer.BatchMax);
            var chain = Chain(names, [null]);
            IntentRequest[] requests = [.. names.Select(name => new IntentRequest(Intent.Create(name)))];
            var executor = KeyOf(1);
            int Authorize() => _authorizer
                .ValidateBatch(chain, executor, requests, TrustAnchor.Pinned, Now, Rules).Conclude(LedgerAnswer.Clear).AuthorizedCount;
            if (Authorize() != Authorizer.BatchMax)
            {
                return "A sound batch is refused.";
            }

            requests[7] = new(Intent.Create("something.else"));
            if (Authorize() != Authorizer.BatchMax - 1)
            {
                return "An intent outside the scope is not refused.";
            }

            requests[7] = new(Intent.Create(names[7]));
            var seconds = Steady.SecondsOf(each, () => Authorize());
            figures["batch_256_rate"] = Math.Round(1 / seconds);
            figures["batch_256_us"] = Math.Round(seconds * 1e6, 1);
            figures["batch_256_intents_per_s"] = Math.Round(Authorizer.BatchMax / seconds);
            return null;
        }

        private AuthorizationResult Authorize(SignedChain chain, Bytes32 executor, IntentRequest request) =>
            _authorizer.Validate(chain, executor, request, TrustAnchor.Pinned, Now, Rules).Conclude(LedgerAnswer.Clear);

        private SignedChain Chain(string[] root, string[]?[] scopes)
        {
            var certificates = new List<DelegationCertificate>();
            var parent = root;
            foreach (var scope in scopes)
            {
                certificates.Add(new Delegation
                {
                    Delegate = KeyOf(certificates.Count + 1), Parent = parent, Capabilities = scope, Namespace = "benchmarks",
                    IssuedAt = Now, ExpiresAt = Now + 3_600, Nonce = new(1, (ulong)certificates.Count),
                }.SignedBy(_keys[certificates.Count]));
                parent = scope ?? parent;
            }

            return new() { Principal = KeyOf(0), PrincipalScope = IntentTree.Of(root).Root, Certificates = certificates };
        }

        private SignedChain Read(byte[] json)
        {
            var reader = new Utf8JsonReader(json);
            reader.Read();
            return ChainJson.Read(ref reader, _publicKeys);
        }

        private static byte[] Write(SignedChain chain)
        {
            var buffer = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(buffer))
            {
                ChainJson.Write(json, chain);
            }

            return buffer.WrittenSpan.ToArray();
        }

        private Bytes32 KeyOf(int number) => Bytes32.Read(_keys[number].PublicKey.Export(KeyBlobFormat.RawPublicKey));

        private static string[] Names(int count) => [.. Enumerable.Range(0, count).Select(i => $"capability.{i}")];
    }
}
