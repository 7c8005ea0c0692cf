namespace Aspire.Npgsql.EntityFrameworkCore.PostgreSQL;

/// <summary>Settings of <c>AddNpgsqlDbContext</c>, read from <c>Aspire:Npgsql:EntityFrameworkCore:PostgreSQL</c> and its subsection
/// named like the context.</summary>
public class NpgsqlEntityFrameworkCorePostgreSQLSettings
{
    /// <summary>The connection string; <c>ConnectionStrings:{name}</c> outranks it.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>Whether a transient failure is returned rather than tried again.</summary>
    public bool DisableRetry { get; set; }

    public bool DisableHealthChecks { get; set; }

    /// <summary>How long a command may take, in seconds.</summary>
    public int? CommandTimeout { get; set; }
}
