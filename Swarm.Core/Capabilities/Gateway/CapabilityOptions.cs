using Swarm.Core.Capabilities.Authorization;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>How far the gateway trusts.</summary>
public enum CapabilityCompatibility
{
    /// <summary>Principals are known or pinned, and what changes something needs an operator's token (A1 §20).</summary>
    Strict,

    /// <summary>
    /// Like A1's own gateway with no admin secret: any principal, no token, no remembered answers. For tests against A1's clients; refused when
    /// anything but loopback is listened on.
    /// </summary>
    Reference,
}

/// <summary>Section <c>A1</c>.</summary>
public sealed class CapabilityOptions
{
    public const string Section = "A1";

    private const long YearSeconds = 366 * 24 * 3600;

    /// <summary>Whether the door is there at all.</summary>
    public bool Enabled { get; set; } = true;

    public CapabilityCompatibility Compatibility { get; set; }

    /// <summary>Public keys, 64 hex digits each, whose chains are believed without a passport here.</summary>
    public string[] TrustedPrincipals { get; set; } = [];

    public PolicyOptions[] Policies { get; set; } = [];

    /// <summary>The longest that a certificate issued here may live, a member's too.</summary>
    public long CertificateTtlSecondsMax { get; set; } = YearSeconds;

    /// <summary>The longest that a passport issued here may live, a swarm's too.</summary>
    public long PassportTtlSecondsMax { get; set; } = 10 * YearSeconds;

    /// <summary>How long the answer to an authorization with a <c>request_id</c> is given again, in seconds; 0 for never, as in A1.</summary>
    public int AnswerSeconds { get; set; } = 600;

    public bool IsReference => Compatibility == CapabilityCompatibility.Reference;

    /// <summary>The pinned keys and the policies, read.</summary>
    /// <exception cref="InvalidOperationException">One of them is malformed; stops the start.</exception>
    internal (IReadOnlySet<Bytes32> Trusted, AuthorizationRules Rules) Read() =>
        (Keys(TrustedPrincipals, nameof(TrustedPrincipals)), new() { Policies = [.. Policies.Select(p => p.ToPolicy())] });

    internal static HashSet<Bytes32> Keys(string[] texts, string name) =>
        [.. texts.Select(t => Bytes32.TryParse(t, out var key) ? key : throw new InvalidOperationException($"A1:{name} holds a text that is not 64 hex digits."))];
}

/// <summary>A <see cref="Policy"/> as configuration has it (A1 §19).</summary>
public sealed class PolicyOptions
{
    public string Name { get; set; } = "";

    public string[] TrustedPrincipals { get; set; } = [];

    public int? ChainLengthMax { get; set; }

    public ulong? TtlSecondsMax { get; set; }

    public bool ForbidsSubDelegation { get; set; }

    public string[] RequiredExtensions { get; set; } = [];

    public string[] AllowedActions { get; set; } = [];

    internal Policy ToPolicy() => new()
    {
        Name = Name.Length > 0 ? Name : throw new InvalidOperationException("Each of A1:Policies needs a Name."),
        TrustedPrincipals = TrustedPrincipals.Length == 0 ? null : CapabilityOptions.Keys(TrustedPrincipals, "Policies:TrustedPrincipals"),
        ChainLengthMax = ChainLengthMax,
        TtlSecondsMax = TtlSecondsMax,
        ForbidsSubDelegation = ForbidsSubDelegation,
        RequiredExtensions = RequiredExtensions,
        AllowedActions = AllowedActions,
    };
}
