using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using NSec.Cryptography;

namespace Swarm.Benchmarks.Node;

/// <summary>What a result was measured on. Figures of one machine say little without it.</summary>
internal static class Machine
{
    private static readonly TimeSpan VerifyFor = TimeSpan.FromMilliseconds(500);

    /// <summary>The machine itself, and how many signatures one of its cores verifies a second right now: it tells a busy machine from a quiet one.</summary>
    public static JsonObject Measure() => new()
    {
        ["cpu"] = Line("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString(),
        ["cores"] = Environment.ProcessorCount,
        ["memory_gb"] = Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1024.0 / 1024 / 1024, 1),
        ["kernel"] = File.Exists("/proc/sys/kernel/osrelease") ? File.ReadAllText("/proc/sys/kernel/osrelease").Trim() : Environment.OSVersion.VersionString,
        ["system"] = RuntimeInformation.OSDescription,
        ["runtime"] = RuntimeInformation.FrameworkDescription,
        ["load_average_before"] = File.Exists("/proc/loadavg") ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0]) : null,
        ["verifications_per_second"] = Math.Round(VerificationRate()),
    };

    /// <summary>Adds what the servers say of themselves.</summary>
    public static async Task AddServersAsync(JsonObject machine, string database, string? redis, CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(cancellation);
        foreach (var (name, setting) in ((string, string)[])
            [("postgres", "server_version"), ("fsync", "fsync"), ("synchronous_commit", "synchronous_commit"), ("shared_buffers", "shared_buffers")])
        {
            await using var command = new NpgsqlCommand("select current_setting($1)", connection) { Parameters = { new() { Value = setting } } };
            machine[name] = (string?)await command.ExecuteScalarAsync(cancellation);
        }

        machine["redis"] = redis is null ? "none" : await RedisVersionAsync(redis, cancellation);
    }

    private static double VerificationRate()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var digest = SHA256.HashData("swarm"u8);
        var signature = SignatureAlgorithm.Ed25519.Sign(key, digest);
        var count = 0;
        var startedAt = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(startedAt) < VerifyFor)
        {
            for (var i = 0; i < 50; i++, count++)
            {
                if (!SignatureAlgorithm.Ed25519.Verify(key.PublicKey, digest, signature))
                {
                    throw new InvalidOperationException("A signature of our own does not verify.");
                }
            }
        }

        return count / Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
    }

    /// <summary>Asks <c>INFO server</c>; <c>none</c> when nobody answers.</summary>
    private static async Task<string> RedisVersionAsync(string connectionString, CancellationToken cancellation)
    {
        var parts = connectionString.Split(',');
        var address = parts[0].Split(':');
        var password = parts.FirstOrDefault(p => p.StartsWith("password=", StringComparison.Ordinal))?["password=".Length..];
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(address[0], int.Parse(address[1]), cancellation);
            var stream = client.GetStream();
            await stream.WriteAsync(
                Encoding.ASCII.GetBytes((password is null ? "" : Command("AUTH", password)) + Command("INFO", "server") + Command("QUIT")), cancellation);
            using var reader = new StreamReader(stream);
            while (await reader.ReadLineAsync(cancellation) is { } line)
            {
                if (line.StartsWith("redis_version:", StringComparison.Ordinal))
                {
                    return line["redis_version:".Length..];
                }
            }
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            // Named by the AppHost, and not there.
        }

        return "none";

        static string Command(params string[] words) => $"*{words.Length}\r\n" + string.Concat(words.Select(w => $"${w.Length}\r\n{w}\r\n"));
    }

    private static string? Line(string file, string name) => !File.Exists(file) ? null
        : File.ReadLines(file).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?.Split(':', 2)[1].Trim();
}
