using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Api;

/// <summary>What a start needs from its configuration. Whoever sets up a node learns everything that is missing at once (ASP §16).</summary>
internal static class StartSettings
{
    /// <summary>Takes the reference's variables over, where that is asked for, and checks; false, and all is said, when the node cannot start.</summary>
    public static bool TakeAndCheck(this WebApplicationBuilder builder)
    {
        foreach (var warning in ReferenceEnvironment.Apply(builder.Configuration))
        {
            Console.Error.WriteLine($"Warning: {warning}.");
        }

        var faults = Faults(builder.Configuration).ToList();
        if (faults.Count == 0)
        {
            builder.Services.AddSingleton<ReferenceAgent>();
            return true;
        }

        Console.Error.WriteLine(faults.Count == 1 ? $"Error: {faults[0]}." : $"Error: the node cannot start:\n{string.Join('\n', faults.Select(f => $"  - {f}."))}");
        return false;
    }

    private static IEnumerable<string> Faults(ConfigurationManager configuration)
    {
        if (string.IsNullOrWhiteSpace(configuration.GetConnectionString(StorageServices.ConnectionName)))
        {
            yield return "ConnectionStrings:swarm is not set. The AppHost sets it; elsewhere set ConnectionStrings__swarm to a PostgreSQL database";
        }

        if ((configuration["Swarm:MasterKey"] ?? "").Length < KeyVaultOptions.MasterKeyLengthMin)
        {
            yield return KeyVaultOptions.MissingMeaning;
        }

        if (string.IsNullOrEmpty(configuration["Swarm:DataFolder"]))
        {
            yield return DataFolderOptions.MissingMeaning;
        }

        if (configuration["Swarm:PublicUrl"] is { } url && !(Uri.TryCreate(url, UriKind.Absolute, out var parsed) && parsed.Scheme is "https" or "http"))
        {
            yield return "Swarm:PublicUrl is not a URL such as https://node.example.com";
        }

        foreach (var fault in AgentSwarmFaults(configuration).Concat(ReferenceEnvironment.Faults(configuration)))
        {
            yield return fault;
        }
    }

    private static string[] AgentSwarmFaults(ConfigurationManager configuration)
    {
        try
        {
            var options = new AgentSwarmOptions();
            configuration.GetSection(AgentSwarmOptions.Section).Bind(options);
            return options.Wake.Fault() is { } fault ? [fault] : [];
        }
        catch (InvalidOperationException e)
        {
            return [e.Message.TrimEnd('.')];
        }
    }
}
