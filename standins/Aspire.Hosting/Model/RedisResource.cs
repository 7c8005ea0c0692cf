namespace Aspire.Hosting.ApplicationModel;

/// <summary>A Redis server.</summary>
public class RedisResource : ContainerResource, IResourceWithConnectionString
{
    internal const string EndpointName = "tcp";
    internal const int ContainerPort = 6379;

    public RedisResource(string name)
        : base(name)
    {
        PrimaryEndpoint = new EndpointReference(this, EndpointName);
    }

    public RedisResource(string name, ParameterResource password)
        : this(name)
    {
        PasswordParameter = password;
    }

    public EndpointReference PrimaryEndpoint { get; }

    public EndpointReferenceExpression Host => PrimaryEndpoint.Property(EndpointProperty.Host);

    public EndpointReferenceExpression Port => PrimaryEndpoint.Property(EndpointProperty.Port);

    public ParameterResource? PasswordParameter { get; }

    public ReferenceExpression ConnectionStringExpression => PasswordParameter is { } password
        ? ReferenceExpression.Of(Host, ":", Port, ",password=", password)
        : ReferenceExpression.Of(Host, ":", Port);

    public ReferenceExpression UriExpression => PasswordParameter is { } password
        ? ReferenceExpression.Of("redis://:", new UriEscaped(password), "@", Host, ":", Port)
        : ReferenceExpression.Of("redis://", Host, ":", Port);

    /// <summary>The connection string of a server that is not ours, taken from configuration.</summary>
    internal string? ExternalConnectionString { get; set; }

    public ValueTask<string?> GetConnectionStringAsync(CancellationToken cancellationToken = default) => ExternalConnectionString is { } external
        ? ValueTask.FromResult<string?>(external)
        : ConnectionStringExpression.GetValueAsync(cancellationToken);

    IEnumerable<KeyValuePair<string, ReferenceExpression>> IResourceWithConnectionString.GetConnectionProperties()
    {
        yield return new("Host", ReferenceExpression.Of(Host));
        yield return new("Port", ReferenceExpression.Of(Port));
        if (PasswordParameter is { } password)
        {
            yield return new("Password", ReferenceExpression.Of(password));
        }

        yield return new("Uri", UriExpression);
    }
}
