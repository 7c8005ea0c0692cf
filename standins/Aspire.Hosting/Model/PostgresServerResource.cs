using System.Collections.ObjectModel;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A PostgreSQL server.</summary>
public class PostgresServerResource : ContainerResource, IResourceWithConnectionString
{
    internal const string EndpointName = "tcp";
    internal const int ContainerPort = 5432;
    private const string DefaultUserName = "postgres";
    private readonly Dictionary<string, string> _databases = new(StringComparer.OrdinalIgnoreCase);

    public PostgresServerResource(string name, ParameterResource? userName, ParameterResource password)
        : base(name)
    {
        UserNameParameter = userName;
        PasswordParameter = password;
        PrimaryEndpoint = new EndpointReference(this, EndpointName);
    }

    public EndpointReference PrimaryEndpoint { get; }

    public EndpointReferenceExpression Host => PrimaryEndpoint.Property(EndpointProperty.Host);

    public EndpointReferenceExpression Port => PrimaryEndpoint.Property(EndpointProperty.Port);

    public ParameterResource? UserNameParameter { get; set; }

    public ParameterResource PasswordParameter { get; set; }

    /// <summary>Resource name → name of the database on the server.</summary>
    public IReadOnlyDictionary<string, string> Databases => new ReadOnlyDictionary<string, string>(_databases);

    public ReferenceExpression UserNameReference => ReferenceExpression.Of(UserNamePart);

    public ReferenceExpression ConnectionStringExpression =>
        ReferenceExpression.Of("Host=", Host, ";Port=", Port, ";Username=", UserNamePart, ";Password=", PasswordParameter);

    public ReferenceExpression UriExpression => UriTo(null);

    public ReferenceExpression JdbcConnectionString => JdbcTo(null);

    internal string UserName => UserNameParameter?.Value ?? DefaultUserName;

    /// <summary>The connection string of a server that is not ours, taken from configuration.</summary>
    internal string? ExternalConnectionString { get; set; }

    private object UserNamePart => UserNameParameter is { } parameter ? parameter : DefaultUserName;

    public ValueTask<string?> GetConnectionStringAsync(CancellationToken cancellationToken = default) => ExternalConnectionString is { } external
        ? ValueTask.FromResult<string?>(external)
        : ConnectionStringExpression.GetValueAsync(cancellationToken);

    internal void AddDatabase(string name, string databaseName) => _databases.Add(name, databaseName);

    internal ReferenceExpression UriTo(string? database) => ReferenceExpression.Of(
        "postgresql://", UserNameParameter is { } user ? new UriEscaped(user) : DefaultUserName, ":", new UriEscaped(PasswordParameter), "@", Host, ":", Port,
        database is null ? string.Empty : "/" + Uri.EscapeDataString(database));

    internal ReferenceExpression JdbcTo(string? database) => ReferenceExpression.Of(
        "jdbc:postgresql://", Host, ":", Port, database is null ? string.Empty : "/" + Uri.EscapeDataString(database));

    internal IEnumerable<KeyValuePair<string, ReferenceExpression>> Properties(string? database)
    {
        yield return new("Host", ReferenceExpression.Of(Host));
        yield return new("Port", ReferenceExpression.Of(Port));
        yield return new("Username", UserNameReference);
        yield return new("Password", ReferenceExpression.Of(PasswordParameter));
        yield return new("Uri", UriTo(database));
        yield return new("JdbcConnectionString", JdbcTo(database));
        if (database is not null)
        {
            yield return new("DatabaseName", ReferenceExpression.Of(database));
        }
    }

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties() => Properties(null);
}
