using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Options;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>Section <c>Egress</c>: what beside the public internet may be called at an agent's word.</summary>
public sealed class EgressOptions
{
    /// <summary>Calls to this machine, also by plain http. For development and tests.</summary>
    public bool AllowLoopback { get; set; }

    /// <summary>Networks in CIDR form that may be called although they are not public. Link-local, multicast and metadata addresses stay closed.</summary>
    public IList<string> AllowedNetworks { get; } = [];

    /// <summary>A PEM file of further certificate authorities to trust, for peers with a private one.</summary>
    public string? TrustedRoots { get; set; }
}

/// <summary>Wrong settings stop the start with a sentence about which.</summary>
internal sealed class EgressOptionsValidator : IValidateOptions<EgressOptions>
{
    public ValidateOptionsResult Validate(string? name, EgressOptions options)
    {
        foreach (var network in options.AllowedNetworks)
        {
            if (!IPNetwork.TryParse(network, out _))
            {
                return ValidateOptionsResult.Fail($"Egress:AllowedNetworks holds '{network}', which is no network such as 10.1.0.0/16 or fd00:1::/32.");
            }
        }

        if (string.IsNullOrEmpty(options.TrustedRoots))
        {
            return ValidateOptionsResult.Success;
        }

        try
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(options.TrustedRoots);
            return roots.Count > 0
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail($"Egress:TrustedRoots: {options.TrustedRoots} holds no certificate.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            return ValidateOptionsResult.Fail($"Egress:TrustedRoots: {options.TrustedRoots} cannot be read: {e.Message}");
        }
    }
}
