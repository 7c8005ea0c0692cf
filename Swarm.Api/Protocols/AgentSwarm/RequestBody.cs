using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Primitives;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>A request body in one rented buffer. Dispose returns it, so nobody may hold <see cref="Bytes"/> longer.</summary>
internal readonly struct RequestBody(byte[] rented, int length, bool isTooLarge, bool isSecret = false) : IDisposable
{
    private const int FirstRentBytes = 4096;

    /// <summary>More than the limit came, or was announced; <see cref="Bytes"/> is empty.</summary>
    public bool IsTooLarge => isTooLarge;

    public ReadOnlyMemory<byte> Bytes => rented.AsMemory(0, length);

    /// <summary>
    /// Reads to the end or to one byte past the limit, whatever the request says about its length, and never holds more than that.
    /// </summary>
    /// <param name="request">Whose body.</param>
    /// <param name="bytesMax">The limit.</param>
    /// <param name="cancellation">Stops the reading.</param>
    /// <param name="isSecret">The body may hold a key: every buffer that it was in, the server's too, is cleared.</param>
    public static async ValueTask<RequestBody> ReadAsync(HttpRequest request, int bytesMax, CancellationToken cancellation, bool isSecret = false)
    {
        if (request.ContentLength > bytesMax)
        {
            return new RequestBody([], 0, isTooLarge: true);
        }

        var reader = request.BodyReader;
        var rented = ArrayPool<byte>.Shared.Rent((int)Math.Min(request.ContentLength ?? FirstRentBytes, FirstRentBytes));
        var length = 0;
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync(cancellation);
                var arrived = result.Buffer;
                if (arrived.Length > bytesMax - length)
                {
                    Advance(reader, arrived, isSecret);
                    ArrayPool<byte>.Shared.Return(rented, isSecret);
                    return new RequestBody([], 0, isTooLarge: true);
                }

                var count = (int)arrived.Length;
                rented = MakeRoom(rented, length, count, isSecret);
                arrived.CopyTo(rented.AsSpan(length));
                length += count;
                Advance(reader, arrived, isSecret);
                if (result.IsCompleted)
                {
                    return new RequestBody(rented, length, isTooLarge: false, isSecret);
                }
            }
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(rented, isSecret);
            throw;
        }
    }

    /// <summary><c>application/json</c> and <c>application/…+json</c>; nothing said counts as JSON (ASP §7.1).</summary>
    public static bool IsJson(HttpRequest request)
    {
        var type = request.ContentType;
        if (type is null or "application/json")
        {
            return true;
        }

        var media = MediaOf(type);
        return media.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (media.StartsWith("application/", StringComparison.OrdinalIgnoreCase) && media.EndsWith("+json", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary><c>text/x-swarm-message</c> (ASP §5.2), with or without parameters.</summary>
    public static bool IsText(HttpRequest request) =>
        request.ContentType is { } type && MediaOf(type).Equals(TextForm.MediaType, StringComparison.OrdinalIgnoreCase);

    public void Dispose()
    {
        if (rented is { Length: > 0 })
        {
            ArrayPool<byte>.Shared.Return(rented, isSecret);
        }
    }

    private static StringSegment MediaOf(string type) =>
        new StringSegment(type, 0, type.IndexOf(';') is var end and >= 0 ? end : type.Length).Trim();

    /// <summary>The server's buffers are its own to write in until they are given back.</summary>
    private static void Advance(PipeReader reader, ReadOnlySequence<byte> arrived, bool isSecret)
    {
        if (isSecret)
        {
            foreach (var segment in arrived)
            {
                CryptographicOperations.ZeroMemory(MemoryMarshal.AsMemory(segment).Span);
            }
        }

        reader.AdvanceTo(arrived.End);
    }

    private static byte[] MakeRoom(byte[] rented, int length, int more, bool isSecret)
    {
        if (rented.Length - length >= more)
        {
            return rented;
        }

        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(length + more, rented.Length * 2));
        rented.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(rented, isSecret);
        return larger;
    }
}
