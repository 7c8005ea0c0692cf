namespace Swarm.Core.Swarms;

/// <summary>What an invite says (ASP §6.1). <paramref name="Master"/> and <paramref name="Endpoint"/> are claims: compare before use.</summary>
/// <param name="SwarmId">The swarm that the token admits to.</param>
/// <param name="Master">The master's text id.</param>
/// <param name="Endpoint">The base URL at which to join, path included.</param>
/// <param name="IssuedAt">Whole seconds.</param>
/// <param name="ExpiresAt">Null for never.</param>
/// <param name="MaxUses">How many joins may use it; null for any number.</param>
public sealed record InviteClaims(
    SwarmId SwarmId, string Master, string Endpoint, DateTimeOffset IssuedAt, DateTimeOffset? ExpiresAt, int? MaxUses);
