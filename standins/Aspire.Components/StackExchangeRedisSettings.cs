namespace Aspire.StackExchange.Redis;

/// <summary>Settings of <c>AddRedisClient</c>, read from <c>Aspire:StackExchange:Redis</c> and <c>Aspire:StackExchange:Redis:{name}</c>.</summary>
public sealed class StackExchangeRedisSettings
{
    /// <summary>The connection string; <c>ConnectionStrings:{name}</c> outranks it.</summary>
    public string? ConnectionString { get; set; }

    public bool DisableHealthChecks { get; set; }

    /// <summary>False connects when the host starts, true when the client is first used.</summary>
    public bool DisableAutoActivation { get; set; } = true;
}
