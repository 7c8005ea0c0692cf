using System.Text;
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
internal sealed class AgentSwarmPeer(GuardedHttp http, RemoteSwarms swarms, Rosters rosters, HostedKeys keys, TimeProvider time)
{
    /// <summary>How often a join is sent in all: it may be repeated, for a member is answered like a new one (ASP §14).</summary>
    public const int TriesMax = 3;

    /// <summary>The most members that are asked how a swarm stands: the master first.</summary>
    public const int AskedMax = 4;

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
        var application = Apply(applicant, invite.Jwt);
        if (await TryOpenAsync(applicant, cancellation) is { } key)
        {
            application = application with { Proof = JoinProof.Make(key, isRepeat: false, invite.Claims.Master, application, time.GetUtcNow()) };
        }

        var answer = await PostAsync(invite.Claims.Endpoint, "join", applicant.Name, Write(application), TriesMax, cancellation);
        return answer.Status switch
        {
            200 => await swarms.AdoptAsync(applicant, invite, Read(answer.Body), cancellation),
            202 => new(true, invite.Claims.SwarmId, "", []),
            _ => throw Refusal(answer),
        };
    }

    /// <summary>
    /// Asks the master how a swarm stands, by the invite that the agent joined with (ASP §10.6, W-13). Who is the master now is told by it, or by another
    /// member's node if it is of our kind; then that one is asked.
    /// </summary>
    /// <param name="teller">A member that may know more; empty for none.</param>
    /// <param name="isThorough">Whether further members are asked as well when the master does not answer.</param>
    /// <returns>The swarm as it is known now.</returns>
    /// <exception cref="SwarmException"><see cref="SwarmError.UnknownSwarm"/>: the agent is no member; else what the master said.</exception>
    public async Task<Roster> SyncAsync(AgentProfile agent, SwarmId swarm, string teller, bool isThorough, CancellationToken cancellation)
    {
        var asked = new HashSet<AgentId>();
        SwarmException? refused = null;
        while (true)
        {
            var roster = await rosters.GetFreshAsync(swarm, cancellation);
            if (roster?.Find(agent.Id) is null)
            {
                throw new SwarmException(SwarmError.UnknownSwarm);
            }

            var candidates = new[] { roster.Master, roster.Find(teller) }.Concat(isThorough ? roster.Members : []);
            if (roster.Master is { Kind: not AgentKind.Remote })
            {
                return roster;
            }

            if (asked.Count == AskedMax || candidates.FirstOrDefault(m => m is { Kind: AgentKind.Remote } && !asked.Contains(m.Agent)) is not { } member)
            {
                throw refused ?? new SwarmException(SwarmError.PeerUnreachable);
            }

            asked.Add(member.Agent);
            var askedAt = time.GetUtcNow();
            try
            {
                var answer = await AskAsync(agent, roster, member, cancellation);
                if (answer is not null && await swarms.ResyncAsync(agent, roster, member, askedAt, answer, cancellation))
                {
                    return (await rosters.GetFreshAsync(swarm, cancellation))!;
                }
            }
            catch (SwarmException e)
            {
                // What the master said is worth telling, what others said is not.
                refused ??= e;
            }
        }
    }

    /// <summary>
    /// One member's answer; null when it cannot be asked. The invite goes to the master alone, for it lets in whoever has it; others get a token that only
    /// names the swarm.
    /// </summary>
    private async Task<RemoteRoster?> AskAsync(AgentProfile agent, Roster roster, Member member, CancellationToken cancellation)
    {
        var isMaster = member.Agent == roster.MasterId;
        var invite = isMaster ? await swarms.FindInviteAsync(agent, roster, cancellation) : null;
        var key = await TryOpenAsync(agent, cancellation);
        var jwt = invite?.Jwt
            ?? (key is null ? null : InviteToken.Create(new(roster.Id, member.Name, member.Endpoint, time.GetUtcNow(), time.GetUtcNow(), null), key).Jwt);
        if (jwt is null)
        {
            return null;
        }

        var application = Apply(agent, jwt);
        var answer = await AskAsync(key, application);
        if (answer.Status == 401 && key is not null)
        {
            foreach (var former in await keys.OpenFormerAsync(agent, cancellation))
            {
                using (former)
                {
                    if (answer.Status == 401)
                    {
                        answer = await AskAsync(former, application);
                    }
                }
            }
        }

        return answer.Status == 200 ? Read(answer.Body) : throw Refusal(answer);

        Task<EgressResponse> AskAsync(Key? signer, JoinApplication it) => PostAsync(
            member.Endpoint, "join", agent.Name,
            Write(signer is null ? it : it with { Proof = JoinProof.Make(signer, isRepeat: true, member.Name, it, time.GetUtcNow()) }),
            isMaster ? TriesMax : 1, cancellation);
    }

    private async ValueTask<Key?> TryOpenAsync(AgentProfile agent, CancellationToken cancellation) =>
        agent.Kind == AgentKind.Hosted ? await keys.OpenAsync(agent, cancellation) : null;

    /// <summary>Offers a member elsewhere to become the master: true when the answer says <c>accepted</c>; a reference peer says <c>queued</c> (ASP §10.6).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.PeerUnreachable"/>: nobody answered.</exception>
    public async Task<bool> OfferAsync(AspMessage offer, Member successor, CancellationToken cancellation)
    {
        var answer = await PostAsync(successor.Endpoint, "message", offer.SenderId, MessageWriter.Write(offer), TriesMax, cancellation);
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

    private async Task<EgressResponse> PostAsync(
        string endpoint, string path, string agent, byte[] body, int triesMax, CancellationToken cancellation)
    {
        var url = $"{endpoint.TrimEnd('/')}/{path}";
        for (var tries = 1; ; tries++)
        {
            var answer = await http.SendAsync(
                new(HttpMethod.Post, url) { Headers = AgentSwarmHeaders.Of(agent), Body = body, TimeMax = TryTimeMax, BodyBytesMax = AnswerBytesMax },
                cancellation);
            var passes = answer.Failure is not (null or EgressFailure.NotAllowed) || answer.Status is 408 or 500 or 502 or 503 or 504;
            if (!passes || tries == triesMax)
            {
                return answer;
            }

            // 2^i seconds, a quarter more or less (ASP §14).
            await Task.Delay(TimeSpan.FromSeconds(1 << (tries - 1)) * (0.75 + (Random.Shared.NextDouble() / 2)), time, cancellation);
        }
    }

    private static JoinApplication Apply(AgentProfile applicant, string jwt) =>
        new(jwt, applicant.Name, applicant.Endpoint, PublicKeyText.Format(applicant.PublicKey));

    private static byte[] Write(JoinApplication application)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Plain))
        {
            json.WriteStartObject();
            json.WriteString("type", "system");
            json.WriteString("action", "join_request");
            json.WriteString("invite_token", application.Token);
            json.WriteStartObject("sender");
            json.WriteString("agent_id", application.Name);
            json.WriteString("endpoint", application.Endpoint);
            json.WriteString("public_key", application.PublicKey);
            json.WriteEndObject();
            if (application.Proof is { } proof)
            {
                json.WriteStartObject("swarm_proof");
                json.WriteString("kind", proof.IsRepeat ? "repeat" : "join");
                json.WriteString("timestamp", proof.Timestamp);
                json.WriteString("signature", proof.Signature);
                json.WriteEndObject();
            }

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
                        m.GetProperty("agent_id").GetString()!, m.GetProperty("endpoint").GetString()!, m.GetProperty("public_key").GetString()!))])
                {
                    MasterChanges = root.TryGetProperty("master_changes", out var changes)
                        ? [.. changes.EnumerateArray().Select(c => Encoding.UTF8.GetBytes(c.GetRawText()))]
                        : [],
                };
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
            403 when reason == "not_a_member" => new(SwarmError.NotAMember, "The agent was taken off the master's roster. It may leave, or join by a new invite."),
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
