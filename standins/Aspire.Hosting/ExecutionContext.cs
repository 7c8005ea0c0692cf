namespace Aspire.Hosting;

/// <summary>What the app host was started for.</summary>
public enum DistributedApplicationOperation
{
    Run = 0,
    Publish = 1,
}

/// <summary>Tells the app host's program what it was started for.</summary>
public class DistributedApplicationExecutionContext(DistributedApplicationOperation operation)
{
    public DistributedApplicationOperation Operation { get; } = operation;

    public bool IsPublishMode => Operation == DistributedApplicationOperation.Publish;

    public bool IsRunMode => Operation == DistributedApplicationOperation.Run;
}

/// <summary>The application model is wrong, or a resource did not start.</summary>
public class DistributedApplicationException : Exception
{
    public DistributedApplicationException()
    {
    }

    public DistributedApplicationException(string message)
        : base(message)
    {
    }

    public DistributedApplicationException(string message, Exception inner)
        : base(message, inner)
    {
    }
}

/// <summary>How to make an application builder.</summary>
public sealed class DistributedApplicationOptions
{
    public string[]? Args { get; set; }

    /// <summary>Name of the app host's assembly; the entry assembly when null.</summary>
    public string? AssemblyName { get; set; }

    /// <summary>Folder of the app host's project.</summary>
    public string? ProjectDirectory { get; set; }

    /// <summary>This launcher has no dashboard; true also keeps its table off the console.</summary>
    public bool DisableDashboard { get; set; }
}
