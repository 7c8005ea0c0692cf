using Swarm.Cli.Doctor;
using Swarm.Cli.Profile;

namespace Swarm.Tests.Cli;

public sealed class DoctorTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.Parse("2026-11-21T15:30:00Z");

    [Theory]
    [InlineData(0, "Ok")]
    [InlineData(5, "Ok")]
    [InlineData(6, "Warn")]
    [InlineData(-6, "Warn")]
    [InlineData(299, "Warn")]
    [InlineData(300, "Fail")]
    [InlineData(-300, "Fail")]
    public void Clocks_may_differ_by_seconds_and_must_not_by_minutes(int seconds, string expected) =>
        Assert.Equal(expected, Rules.Clock(Now, Now.AddSeconds(seconds)).Result.ToString());

    [Fact]
    public void A_node_without_a_date_is_doubtful() => Assert.Equal(CheckResult.Warn, Rules.Clock(Now, null).Result);

    [Theory]
    [InlineData(Rules.DiskFailsBytes - 1, "Fail")]
    [InlineData(Rules.DiskFailsBytes, "Warn")]
    [InlineData(Rules.DiskWarnsBytes - 1, "Warn")]
    [InlineData(Rules.DiskWarnsBytes, "Ok")]
    public void A_disk_that_fills_is_told_in_time(long freeBytes, string expected) => Assert.Equal(
        expected, Rules.Disk("/data", freeBytes).Result.ToString());

    [Theory]
    [InlineData("redis", "Ok")]
    [InlineData("postgres", "Warn")]
    public void Running_without_redis_is_worth_a_word(string signals, string expected) => Assert.Equal(
        expected, Rules.Signals(signals).Result.ToString());

    [Theory]
    [InlineData(200, "Ok")]
    [InlineData(503, "Fail")]
    public void Health_is_what_the_node_says(int status, string expected) => Assert.Equal(
        expected, Rules.Health(status, "{}").Result.ToString());

    [Fact]
    public void A_secret_that_others_may_read_is_a_failure()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var path = Path.GetTempFileName();
        try
        {
            File.SetUnixFileMode(path, PrivateFiles.FileMode0600);
            Assert.Equal(CheckResult.Ok, Rules.PrivateFile("token", path).Result);
            File.SetUnixFileMode(path, PrivateFiles.FileMode0600 | UnixFileMode.GroupRead);
            Assert.Equal(CheckResult.Fail, Rules.PrivateFile("token", path).Result);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
