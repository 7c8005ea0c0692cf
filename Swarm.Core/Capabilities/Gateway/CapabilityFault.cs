namespace Swarm.Core.Capabilities.Gateway;

/// <summary>Why a change is refused where A1 has no denial for it.</summary>
public enum CapabilityFault
{
    InvalidRequest,
    SwarmNotFound,
    MemberNotFound,
    MemberExpired,
    PassportNotFound,
    NotTheOwner,
    KeyNotHeld,
    Conflict,
    LimitReached,
}

/// <summary>A refusal outside the hot path; nothing was changed when it is thrown.</summary>
public sealed class CapabilityException(CapabilityFault fault, string text) : Exception(text)
{
    public CapabilityFault Fault => fault;

    internal static CapabilityException SwarmNotFound() => new(CapabilityFault.SwarmNotFound, "swarm not found");

    internal static CapabilityException MemberNotFound() => new(CapabilityFault.MemberNotFound, "member not found");

    internal static CapabilityException Invalid(string text) => new(CapabilityFault.InvalidRequest, text);
}
