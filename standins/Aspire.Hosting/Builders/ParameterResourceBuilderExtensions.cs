using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>Adds parameters: values from <c>Parameters:NAME</c> in the configuration, or kept defaults.</summary>
public static class ParameterResourceBuilderExtensions
{
    private const int DefaultPasswordLength = 22;

    /// <summary>A value that the operator must give.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(this IDistributedApplicationBuilder builder, string name, bool secret = false) =>
        builder.AddResource(new ParameterResource(name, _ => Given(builder, name) ?? throw Missing(name), secret));

    /// <summary>A value with a default.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, string value, bool publishValueAsDefault = false, bool secret = false)
    {
        var parameter = new ParameterResource(name, _ => Given(builder, name) ?? value, secret);
        parameter.Default = publishValueAsDefault ? new ConstantParameterDefault(value) : null;
        return builder.AddResource(parameter);
    }

    /// <summary>A value with a computed default, such as a generated one; <paramref name="persist"/> keeps it between starts.</summary>
    public static IResourceBuilder<ParameterResource> AddParameter(
        this IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret = false, bool persist = false) =>
        builder.AddResource(Defaulted(builder, name, value, secret, persist));

    /// <summary>A generated secret that is kept between starts, for a resource's password. It is not yet added to the application.</summary>
    public static ParameterResource CreateDefaultPasswordParameter(
        IDistributedApplicationBuilder builder,
        string name,
        bool lower = true,
        bool upper = true,
        bool numeric = true,
        bool special = true,
        int minLower = 0,
        int minUpper = 0,
        int minNumeric = 0,
        int minSpecial = 0)
    {
        var generate = new GenerateParameterDefault
        {
            MinLength = DefaultPasswordLength,
            Lower = lower,
            Upper = upper,
            Numeric = numeric,
            Special = special,
            MinLower = minLower,
            MinUpper = minUpper,
            MinNumeric = minNumeric,
            MinSpecial = minSpecial,
        };
        return Defaulted(builder, name, generate, secret: true, persist: true);
    }

    private static ParameterResource Defaulted(
        IDistributedApplicationBuilder builder, string name, ParameterDefault value, bool secret, bool persist)
    {
        string Kept(ParameterDefault fallback) => persist && builder is DistributedApplicationBuilder { Secrets: var secrets }
            ? secrets.GetOrAdd($"Parameters:{name}", fallback.GetDefaultValue)
            : fallback.GetDefaultValue();
        return new ParameterResource(name, fallback => Given(builder, name) ?? Kept(fallback!), secret) { Default = value };
    }

    private static string? Given(IDistributedApplicationBuilder builder, string name) =>
        builder.Configuration[$"Parameters:{name}"] is { Length: > 0 } value ? value : null;

    private static DistributedApplicationException Missing(string name) =>
        new($"The parameter '{name}' has no value. Give it as the environment variable Parameters__{name} or the user secret Parameters:{name}.");
}
