using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Swarm.ServiceDefaults;

/// <summary>
/// Settings from files, as container engines hand out secrets: in the folder that <c>Swarm:SecretsFolder</c> names, a file a setting, its name
/// the setting's (<c>ConnectionStrings__swarm</c>), its text the value. They win over the environment.
/// </summary>
internal static class SecretFiles
{
    public static void AddSecretFiles(this IHostApplicationBuilder builder)
    {
        if (builder.Configuration["Swarm:SecretsFolder"] is { Length: > 0 } folder)
        {
            builder.Configuration.AddKeyPerFile(Path.GetFullPath(folder), optional: true);
        }
    }
}
