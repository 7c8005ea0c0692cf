using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class ParameterTests : IDisposable
{
    private readonly string _area = PrivateServers.NewArea();

    [Fact]
    public async Task A_generated_secret_is_the_same_at_the_next_start_and_lies_in_a_private_file()
    {
        var first = await ValueAsync();
        Assert.Equal(40, first.Length);
        Assert.All(first, c => Assert.True(char.IsAsciiLetterOrDigit(c)));
        Assert.Equal(first, await ValueAsync());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_area, "secrets.json")));
    }

    [Fact]
    public async Task A_given_value_wins_over_a_kept_one()
    {
        await ValueAsync();
        Assert.Equal("given", await ValueAsync("--Parameters:key", "given"));
    }

    [Fact]
    public async Task A_parameter_without_a_value_says_how_to_give_one()
    {
        var builder = DistributedApplication.CreateBuilder(["--Launcher:DataArea", _area]);
        var parameter = builder.AddParameter("needed").Resource;
        var error = await Assert.ThrowsAsync<DistributedApplicationException>(async () => await parameter.GetValueAsync(default));
        Assert.Contains("Parameters__needed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Generated_values_hold_what_was_asked_for()
    {
        var value = new GenerateParameterDefault { MinLength = 30, Special = false, MinUpper = 10, MinNumeric = 10, MinLower = 10 }.GetDefaultValue();
        Assert.Equal(30, value.Length);
        Assert.Equal(10, value.Count(char.IsAsciiDigit));
        Assert.Equal(10, value.Count(char.IsAsciiLetterUpper));
    }

    [Fact]
    public void Keys_kept_by_others_survive_a_new_one()
    {
        Directory.CreateDirectory(_area);
        File.WriteAllText(Path.Combine(_area, "secrets.json"), """{ "Other": { "Key": "theirs" } }""");
        var store = SecretStore.InArea();
        store.UseFallback(() => _area);
        Assert.Equal("ours", store.GetOrAdd("Parameters:key", () => "ours"));
        Assert.Equal("theirs", store.GetOrAdd("Other:Key", () => throw new InvalidOperationException("It is there already.")));
    }

    [Fact]
    public void A_home_that_cannot_be_written_is_passed_over_for_the_data_area()
    {
        Directory.CreateDirectory(_area);
        var notAFolder = Path.Combine(_area, "home");
        File.WriteAllText(notAFolder, string.Empty);
        var store = SecretStore.At(Path.Combine(notAFolder, ".microsoft", "secrets.json"));
        store.UseFallback(() => _area);
        Assert.Equal("made", store.GetOrAdd("Parameters:key", () => "made"));
        Assert.Equal("made", store.GetOrAdd("Parameters:key", () => "made again"));
    }

    public void Dispose()
    {
        if (Directory.Exists(_area))
        {
            Directory.Delete(_area, recursive: true);
        }
    }

    private async Task<string> ValueAsync(params string[] switches)
    {
        var builder = DistributedApplication.CreateBuilder(["--Launcher:DataArea", _area, .. switches]);
        var parameter = builder.AddParameter("key", new GenerateParameterDefault { MinLength = 40, Special = false }, secret: true, persist: true);
        return (await parameter.Resource.GetValueAsync(default))!;
    }
}
