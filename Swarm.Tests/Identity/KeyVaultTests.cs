using System.Text;
using Swarm.Core.Identity;

namespace Swarm.Tests.Identity;

public sealed class KeyVaultTests
{
    [Fact]
    public void Keys_are_sealed_and_opened_from_many_threads_at_once()
    {
        using var vault = new KeyVault(new() { MasterKey = "a master key of the tests, long enough" });
        var owner = Encoding.UTF8.GetBytes("owner");

        Parallel.For(0, 20_000, new ParallelOptions { MaxDegreeOfParallelism = 16 }, i =>
        {
            var seed = BitConverter.GetBytes((long)i);
            Assert.Equal(seed, vault.Unseal(vault.Seal(seed, owner), owner));
        });
    }
}
