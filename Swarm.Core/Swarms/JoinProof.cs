using System.Text;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>
/// What a join may carry beyond the protocol (member <c>swarm_proof</c>; peers that do not know it ignore it): the applicant's own signature, so that
/// nobody makes a member of somebody else's key (ASP §20, W-11, W-22), or a member's, who asks how its swarm stands (W-13) and may have
/// another key now (W-23).
/// </summary>
/// <param name="IsRepeat">The word of a member: signed with the key that is pinned, answered with the roster, and never admitted anew.</param>
/// <param name="Timestamp">When it was signed (ASP §4.1).</param>
/// <param name="Signature">Base64 of 64 bytes, over <see cref="Statement"/>.</param>
public sealed record JoinProof(bool IsRepeat, string Timestamp, string Signature)
{
    /// <summary>How far the signed time may be from ours, in both directions: a join is answered while its sender waits.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    /// <summary>Signs an application.</summary>
    /// <param name="to">The agent that is asked, by its name.</param>
    public static JoinProof Make(Key key, bool isRepeat, string to, JoinApplication application, DateTimeOffset now)
    {
        var timestamp = AspTimestamp.Format(now);
        return new(isRepeat, timestamp, Convert.ToBase64String(SignatureAlgorithm.Ed25519.Sign(key, Statement(isRepeat, to, application, timestamp))));
    }

    /// <summary>Whether that key signed this application, for that agent, just now.</summary>
    public bool Verifies(PublicKey key, string to, JoinApplication application, DateTimeOffset now)
    {
        Span<byte> signature = stackalloc byte[MessageSignature.SizeBytes];
        return AgentName.IsValid(application.Name) && Agents.IsValidEndpoint(application.Endpoint)
            && AspTimestamp.TryParse(Timestamp, out var signedAt) && (now - signedAt).Duration() <= Window
            && MessageSignature.TryDecode(Encoding.UTF8.GetBytes(Signature), signature)
            && SignatureAlgorithm.Ed25519.Verify(key, Statement(IsRepeat, to, application, Timestamp), signature);
    }

    /// <summary>One line each, none of which can hold a line end where the proof is looked at; no other signed text begins like this.</summary>
    private static byte[] Statement(bool isRepeat, string to, JoinApplication it, string timestamp) => Encoding.UTF8.GetBytes(
        $"{(isRepeat ? "swarm-repeat-v1" : "swarm-join-v1")}\n{InviteToken.HashOf(it.Token)}\n{to}\n{it.Name}\n{it.Endpoint}\n{it.PublicKey}\n{timestamp}");
}
