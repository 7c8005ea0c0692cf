using Swarm.Core.Identity;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>What this door takes at most. Each is larger than anything that an honest reference peer sends (ASP §7.4).</summary>
internal static class AgentSwarmLimits
{
    /// <summary>A request body, before it is looked at; more is answered 413.</summary>
    public const int BodyBytesMax = 2 * 1024 * 1024;

    /// <summary>The body of a local endpoint (ASP §9), in bytes; more is answered 413.</summary>
    public const int LocalBodyBytesMax = 64 * 1024;

    /// <summary>The most items of one list of a local endpoint.</summary>
    public const int PageMax = 100;

    /// <summary>The content of a message as UTF-8, JSON escapes resolved; more is answered 422, like all that follows.</summary>
    public const int ContentBytesMax = 1024 * 1024;

    /// <summary>Objects and arrays within each other, the outermost included.</summary>
    public const int JsonDepthMax = 32;

    /// <summary>Members of one JSON object.</summary>
    public const int JsonMembersMax = 1024;

    /// <summary>The text of one JSON number.</summary>
    public const int JsonNumberBytesMax = 128;

    /// <summary>An agent id, as sender, recipient or joiner.</summary>
    public const int AgentIdBytesMax = AgentName.LengthMax;

    /// <summary>An endpoint, in code points as the reference counts.</summary>
    public const int EndpointCharactersMax = 2048;

    /// <summary><c>protocol_version</c>.</summary>
    public const int VersionBytesMax = 32;

    /// <summary><c>in_reply_to</c> and <c>thread_id</c>.</summary>
    public const int ReferenceIdBytesMax = 256;

    /// <summary><c>timestamp</c> and <c>expires_at</c>.</summary>
    public const int TimeBytesMax = 256;

    /// <summary>The text of a signature or a public key.</summary>
    public const int KeyTextBytesMax = 1024;

    /// <summary>An invite token.</summary>
    public const int InviteBytesMax = InviteToken.LengthMax;

    /// <summary>How many failures one 422 lists.</summary>
    public const int FailuresMax = 100;

    /// <summary>How much of somebody's input an error repeats.</summary>
    public const int EchoCharactersMax = 200;
}
