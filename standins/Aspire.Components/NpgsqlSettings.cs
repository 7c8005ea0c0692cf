namespace Aspire.Npgsql;

/// <summary>Settings of <c>AddNpgsqlDataSource</c>, read from <c>Aspire:Npgsql</c> and <c>Aspire:Npgsql:{name}</c>.</summary>
public class NpgsqlSettings
{
    /// <summary>The connection string; <c>ConnectionStrings:{name}</c> outranks it.</summary>
    public string? ConnectionString { get; set; }

    public bool DisableHealthChecks { get; set; }
}
