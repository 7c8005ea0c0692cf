using System.Text.Encodings.Web;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>Asks other nodes in the Agent Swarm Protocol, through the guarded egress.</summary>
internal sealed class AgentSwarmPeer(GuardedHttp http, RemoteSwarms swarms, TimeProvider time)
{
    /// <summary>How often a join is sent in all: it may be repeated, for a member is answered like a new one (ASP §14).</summary>
    public const int TriesMax = 3;

    /// <summary>The largest roster that is read, in bytes.</summary>
    public const int AnswerBytesMax = GuardedHttp.BodyBytesMax;

    /// <summary>The most characters of a peer's words that are passed on.</summary>
    public const int WordsMax = 200;

    /// <summary>The longest that one try may take.</summary>
    public static readonly TimeSpan TryTimeMax = TimeSpan.FromSeconds(10);

    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Joins a swarm whose master is elsewhere: <c>POST {endpoint}/join</c> (ASP §8.2, §10.2).</summary>
    /// <exception cref="SwarmException">What the master said, in the words of the catalogue.</exception>
    public async Task<JoinOutcome> JoinAsync(AgentProfile applicant, InviteLink invite, CancellationToken cancellation)
    {
        using var joining = swarms.Joining(applicant.Id, invite.Claims.SwarmId);
        var answer = await PostAsync(
            $"{invite.Claims.Endpoint.TrimEnd('/')}/join", applicant.Name, Application(applicant, invite), cancellation);
        return answer.Status switch
        {
            200 => await swarms.AdoptAsync(applicant, invite.Claims, Read(answer.Body), cancellation),
            202 => new(true, invite.Claims.SwarmId, "", []),
            _ => throw Refusal(answer),
        };
    }

    /// <summary>Offers a member elsewhere to become the master: true when the answer says <c>accepted</c>; a reference peer says <c>queued</c> (ASP §10.6).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.PeerUnreachable"/>: nobody answered.</exception>
    public async Task<bool> OfferAsync(AspMessage offer, Member successor, CancellationToken cancellation)
    {
        var answer = await PostAsync($"{successor.Endpoint.TrimEnd('/')}/message", offer.SenderId, MessageWriter.Write(offer), cancellation);
        if (answer.Failure is not null || answer.Status >= 500)
        {
            throw new SwarmException(SwarmError.PeerUnreachable, $"The member's node gave no usable answer: {answer.Reason}");
        }

        try
        {
            using var json = JsonDocument.Parse(answer.Body, new() { MaxDepth = 32 });
            return answer.IsSuccess && json.RootElement.GetProperty("status").GetString() == "accepted";
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return false;
        }
    }

    private async Task<EgressResponse> PostAsync(string url, string agent, byte[] body, CancellationToken cancellation)
    {
        for (var tries = 1; ; tries++)
        {
            var answer = await http.SendAsync(
                new(HttpMethod.Post, url) { Headers = AgentSwarmHeaders.Of(agent), Body = body, TimeMax = TryTimeMax, BodyBytesMax = AnswerBytesMax },
                cancellation);
            var passes = answer.Failure is not (null or EgressFailure.NotAllowed) || answer.Status is 408 or 500 or 502 or 503 or 504;
            if (!passes || tries == TriesMax)
            {
                return answer;
            }

            // 2^i seconds, a quarter more or less (ASP §14).
            await Task.Delay(TimeSpan.FromSeconds(1 << (tries - 1)) * (0.75 + (Random.Shared.NextDouble() / 2)), time, cancellation);
        }
    }

    private static byte[] Application(AgentProfile applicant, InviteLink invite)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Plain))
        {
            json.WriteStartObject();
            json.WriteString("type", "system");
            json.WriteString("action", "join_request");
            json.WriteString("invite_token", invite.Jwt);
            json.WriteStartObject("sender");
            json.WriteString("agent_id", applicant.Name);
            json.WriteString("endpoint", applicant.Endpoint);
            json.WriteString("public_key", Convert.ToBase64String(applicant.PublicKey.Export(KeyBlobFormat.RawPublicKey)));
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static RemoteRoster Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body, new() { MaxDepth = 32 });
            var root = json.RootElement;
            if (root.GetProperty("status").GetString() == "accepted" && AspUuid.TryParse(root.GetProperty("swarm_id").GetString()!, out var id))
            {
                return new(
                    new(id),
                    root.GetProperty("swarm_name").GetString()!,
                    [.. root.GetProperty("members").EnumerateArray().Select(m => (
                        m.GetProperty("agent_id").GetString()!, m.GetProperty("endpoint").GetString()!, m.GetProperty("public_key").GetString()!))]);
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentNullException)
        {
            // Said below.
        }

        throw new SwarmException(SwarmError.PeerUnreachable, "The master's answer is not the one of the protocol.");
    }

    private SwarmException Refusal(EgressResponse answer)
    {
        var (words, reason) = Words(answer.Body);
        return answer.Status switch
        {
            400 or 422 => new(SwarmError.InvalidToken, words),
            401 => new(SwarmError.TokenSignature, words),
            403 when reason == "max_uses_exceeded" => new(SwarmError.TokenExhausted, words, reason),
            403 when reason == "token_revoked" => new(SwarmError.TokenRevoked, words, reason),
            403 => new(SwarmError.PeerRefused, words),
            404 => new(SwarmError.UnknownSwarm, words),
            429 => new(
                SwarmError.RateLimited,
                RetryAfter.Parse(answer.Headers.GetValueOrDefault("Retry-After"), time.GetUtcNow()) is { } wait
                    ? $"The master's node takes no more requests now; it asks to wait {Math.Ceiling(wait.TotalSeconds)} s."
                    : "The master's node takes no more requests now."),
            _ => new(SwarmError.PeerUnreachable, $"The master's node gave no usable answer: {answer.Reason}"),
        };
    }

    /// <summary>A peer's <c>error.message</c> and <c>error.details.reason</c>, bounded; null where it has none.</summary>
    private static (string? Message, string? Reason) Words(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body, new() { MaxDepth = 32 });
            var error = json.RootElement.GetProperty("error");
            var message = error.GetProperty("message").GetString() ?? "";
            var words = new string([.. message.Where(c => !char.IsControl(c) && !char.IsSurrogate(c)).Take(WordsMax)]);
            return ($"The master's node says: {words}",
                error.TryGetProperty("details", out var details) && details.ValueKind == JsonValueKind.Object && details.TryGetProperty("reason", out var reason)
                    ? reason.GetString()
                    : null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return (null, null);
        }
    }
}
