using Spectre.Console;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>A progress bar where there is a person to look at it.</summary>
internal static class Progress
{
    public static T Run<T>(string what, double total, Func<Action<double>, T> work) =>
        AnsiConsole.Progress().Start(context =>
        {
            var task = context.AddTask(what, maxValue: total);
            var result = work(value => task.Value = value);
            task.Value = total;
            return result;
        });

    public static Task<T> RunAsync<T>(string what, double total, Func<Action<double>, Task<T>> work) =>
        AnsiConsole.Progress().StartAsync(async context =>
        {
            var task = context.AddTask(what, maxValue: total);
            var result = await work(value => task.Value = value);
            task.Value = total;
            return result;
        });

    public static Task RunAsync(string what, double total, Func<Action<double>, Task> work) =>
        RunAsync(what, total, async tick =>
        {
            await work(tick);
            return true;
        });
}
