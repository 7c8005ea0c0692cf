using System.Diagnostics.CodeAnalysis;

namespace Microsoft.Extensions.Hosting;

internal static class Components
{
    /// <summary>What EF Core needs of a context type.</summary>
    public const DynamicallyAccessedMemberTypes ContextMembers = DynamicallyAccessedMemberTypes.PublicConstructors
        | DynamicallyAccessedMemberTypes.NonPublicConstructors | DynamicallyAccessedMemberTypes.PublicProperties;

    public static string Require(string? connectionString, string name, string section) =>
        string.IsNullOrWhiteSpace(connectionString) ? throw new InvalidOperationException(Missing(name, section)) : connectionString;

    public static string Missing(string name, string section) =>
        $"A connection string is needed: set 'ConnectionStrings:{name}', or 'ConnectionString' under '{section}'.";
}
