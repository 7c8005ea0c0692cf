using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Running;

/// <summary>What a server runs from.</summary>
internal abstract record ServerSource
{
    private ServerSource()
    {
    }

    /// <summary>
    /// A container when a runtime answers, else local binaries, else a connection string of the configuration, else null. Data
    /// that local binaries made stays with them. <c>Launcher:NAME</c> = container, local, external or none decides otherwise.
    /// </summary>
    public static async Task<ServerSource?> ChooseAsync(
        Launcher launcher,
        IResource server,
        Func<bool> hasLocalData,
        Func<CancellationToken, Task<bool>> hasBinaries,
        CancellationToken cancellationToken)
    {
        var wish = launcher.Configuration[$"Launcher:{server.Name}"];
        if (wish is "none")
        {
            return null;
        }

        if (wish is null or "container" && !hasLocalData() && await launcher.ContainerRuntime.Value.WaitAsync(cancellationToken).ConfigureAwait(false) is { } runtime)
        {
            return new Container(runtime);
        }

        if (wish is null or "local" && await hasBinaries(cancellationToken).ConfigureAwait(false))
        {
            return new Local();
        }

        return wish is null or "external" && launcher.Configuration.GetConnectionString(server.Name) is { Length: > 0 } given ? new External(given) : null;
    }

    public sealed record Container(string Runtime) : ServerSource;

    public sealed record Local : ServerSource;

    public sealed record External(string ConnectionString) : ServerSource;
}
