using System.Reflection;

namespace Aspire.Hosting.Testing;

/// <summary>An application builder that a test holds.</summary>
public interface IDistributedApplicationTestingBuilder : IDistributedApplicationBuilder, IDisposable, IAsyncDisposable
{
    /// <summary>Lets the app host's program build, and returns what it built. The test starts and disposes it.</summary>
    Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken = default);
}

/// <summary>
/// Runs an app host's program inside a test. Every endpoint gets a port of its own. The test may change the builder before it builds.
/// </summary>
public static class DistributedApplicationTestingBuilder
{
    /// <typeparam name="TEntryPoint">The generated class <c>Projects.NAME</c> of the app host, or another type of its assembly.</typeparam>
    /// <param name="cancellationToken">Ends the wait for the program.</param>
    public static Task<IDistributedApplicationTestingBuilder> CreateAsync<TEntryPoint>(CancellationToken cancellationToken = default)
        where TEntryPoint : class => CreateAsync<TEntryPoint>([], cancellationToken);

    /// <inheritdoc cref="CreateAsync{TEntryPoint}(CancellationToken)"/>
    public static async Task<IDistributedApplicationTestingBuilder> CreateAsync<TEntryPoint>(string[] args, CancellationToken cancellationToken = default)
        where TEntryPoint : class
    {
        var assembly = typeof(TEntryPoint).Assembly;
        var entryPoint = assembly.EntryPoint ?? throw new InvalidOperationException($"{assembly.GetName().Name} has no program to run.");
        var hook = new TestingHook(assembly, options => options.DisableDashboard = true);
        var program = new Thread(() => RunProgram(hook, entryPoint, args)) { IsBackground = true, Name = $"{assembly.GetName().Name} under test" };
        program.Start();
        var builder = await hook.Building.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new TestingBuilder(builder, hook);
    }

    private static void RunProgram(TestingHook hook, MethodInfo entryPoint, string[] args)
    {
        TestingHook.Current = hook;
        try
        {
            var result = entryPoint.Invoke(null, entryPoint.GetParameters().Length == 0 ? [] : [args]);
            (result as Task)?.GetAwaiter().GetResult();
            hook.Fail(new InvalidOperationException("The app host's program ended without building an application."));
        }
        catch (TargetInvocationException e)
        {
            hook.Fail(e.InnerException!);
        }
    }
}
