using System.Buffers;
using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using NSec.Cryptography;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Floor;

/// <summary>The bare prototype. It is no product: it checks one signature, writes two rows, and nothing else.</summary>
internal static class FloorServer
{
    private const int BatchMax = 512;

    public static Command Command()
    {
        var command = new Command("floor-server", "The prototype itself; the floor scenario starts it.") { Hidden = true };
        command.SetAction(async (_, cancellation) => await RunAsync(Environment.GetEnvironmentVariable("SWARM_FLOOR_DATABASE")!, cancellation));
        return command;
    }

    private static async Task RunAsync(string connectionString, CancellationToken cancellation)
    {
        // Design §9 defines the floor with libcrypto; the stand-in of NSec would take libsodium where it is installed.
        AppContext.SetSwitch("NSec.Cryptography.OpenSsl", Environment.GetEnvironmentVariable("SWARM_FLOOR_OPENSSL") == "1");
        await using var database = NpgsqlDataSource.Create(connectionString);
        var keys = await PrepareAsync(database, cancellation);
        var channel = Channel.CreateBounded<Item>(new BoundedChannelOptions(8192) { SingleReader = true });
        var writer = Task.Run(() => WriteAsync(database, channel.Reader), cancellation);

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        app.Run(context => AcceptAsync(context, keys, channel.Writer));
        await app.StartAsync(cancellation);
        OwnServer.EndWithParent();
        Console.WriteLine(app.Urls.First());
        await writer.WaitAsync(cancellation);
    }

    private static async Task AcceptAsync(HttpContext context, Dictionary<string, PublicKey> keys, ChannelWriter<Item> writer)
    {
        var length = (int)context.Request.ContentLength!.Value;
        var body = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await context.Request.Body.ReadExactlyAsync(body.AsMemory(0, length));
            var item = Read(body.AsMemory(0, length), keys);
            if (item is null)
            {
                context.Response.StatusCode = 401;
                context.Response.ContentLength = 0;
                return;
            }

            await writer.WriteAsync(item);
            await item.Done.Task;
            context.Response.ContentLength = 2;
            await context.Response.BodyWriter.WriteAsync("{}"u8.ToArray());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(body);
        }
    }

    private static Item? Read(ReadOnlyMemory<byte> body, Dictionary<string, PublicKey> keys)
    {
        string id = "", timestamp = "", sender = "", recipient = "", swarm = "", type = "", content = "", signature = "";
        var reader = new Utf8JsonReader(body.Span);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            var name = reader.GetString();
            reader.Read();
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                continue;
            }

            var value = reader.GetString()!;
            switch (name)
            {
                case "message_id": id = value; break;
                case "timestamp": timestamp = value; break;
                case "agent_id": sender = value; break;
                case "recipient": recipient = value; break;
                case "swarm_id": swarm = value; break;
                case "type": type = value; break;
                case "content": content = value; break;
                case "signature": signature = value; break;
            }
        }

        var digest = SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(id + timestamp + swarm + recipient + type + content));
        return SignatureAlgorithm.Ed25519.Verify(keys[sender], digest, Convert.FromBase64String(signature))
            ? new(Guid.Parse(id), sender, recipient, body)
            : null;
    }

    private static async Task WriteAsync(NpgsqlDataSource database, ChannelReader<Item> reader)
    {
        await using var connection = await database.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(
            """
            with i as (insert into floor_messages (id, sender, wire) select * from unnest($1, $2, $3) on conflict do nothing returning id)
            insert into floor_deliveries (id, recipient) select i.id, u.r from unnest($1, $4) u (id, r) join i on i.id = u.id
            """,
            connection);
        command.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        command.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea });
        command.Parameters.Add(new() { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
        var batch = new List<Item>();
        while (await reader.WaitToReadAsync())
        {
            while (batch.Count < BatchMax && reader.TryRead(out var item))
            {
                batch.Add(item);
            }

            // The same id twice in one batch would be delivered twice by the join.
            var distinct = batch.DistinctBy(i => i.Id).ToArray();
            command.Parameters[0].Value = distinct.Select(i => i.Id).ToArray();
            command.Parameters[1].Value = distinct.Select(i => i.Sender).ToArray();
            command.Parameters[2].Value = distinct.Select(i => i.Wire).ToArray();
            command.Parameters[3].Value = distinct.Select(i => i.Recipient).ToArray();
            await command.ExecuteNonQueryAsync();
            foreach (var item in batch)
            {
                item.Done.SetResult();
            }

            batch.Clear();
        }
    }

    private static async Task<Dictionary<string, PublicKey>> PrepareAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        await using (var create = database.CreateCommand(
            """
            create table floor_messages (id uuid primary key, sender text not null, wire bytea not null);
            alter table floor_messages alter column wire set storage external;
            create table floor_deliveries (no bigint generated always as identity primary key, id uuid not null, recipient text not null)
            """))
        {
            await create.ExecuteNonQueryAsync(cancellation);
        }

        var keys = new Dictionary<string, PublicKey>();
        await using var command = database.CreateCommand("select name, public_key from agents where name is not null");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            keys[reader.GetString(0)] = PublicKey.Import(SignatureAlgorithm.Ed25519, reader.GetFieldValue<byte[]>(1), KeyBlobFormat.RawPublicKey);
        }

        return keys;
    }

    private sealed record Item(Guid Id, string Sender, string Recipient, ReadOnlyMemory<byte> Wire)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
