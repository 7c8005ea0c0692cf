using Npgsql;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A database on a PostgreSQL server; created when the server has none of that name.</summary>
public class PostgresDatabaseResource(string name, string databaseName, PostgresServerResource postgresParentResource)
    : Resource(name), IResourceWithParent<PostgresServerResource>, IResourceWithConnectionString
{
    public PostgresServerResource Parent { get; } = postgresParentResource;

    public string DatabaseName { get; } = databaseName;

    public ReferenceExpression ConnectionStringExpression => ReferenceExpression.Of(Parent, ";Database=" + DatabaseName);

    public ReferenceExpression UriExpression => Parent.UriTo(DatabaseName);

    public ReferenceExpression JdbcConnectionString => Parent.JdbcTo(DatabaseName);

    ValueTask<string?> IResourceWithConnectionString.GetConnectionStringAsync(CancellationToken cancellationToken) =>
        Parent.ExternalConnectionString is { } external
            ? ValueTask.FromResult<string?>(new NpgsqlConnectionStringBuilder(external) { Database = DatabaseName }.ConnectionString)
            : ConnectionStringExpression.GetValueAsync(cancellationToken);

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties() => Parent.Properties(DatabaseName);
}
