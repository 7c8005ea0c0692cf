namespace Swarm.Benchmarks.Load;

/// <summary>Where a load goes.</summary>
/// <param name="Url">Scheme, host and port.</param>
/// <param name="AuthorityFile">For https: the PEM file of the authority that is trusted, and no other.</param>
internal sealed record Target(Uri Url, string? AuthorityFile);
