using Swarm.Client;

namespace Swarm.Cli.Doctor;

/// <summary>Looks at the node and at this profile, and keeps looking when one check fails.</summary>
internal sealed class Examination(Session session)
{
    private readonly List<Check> checks = [];

    public async Task<IReadOnlyList<Check>> RunAsync(CancellationToken cancellation)
    {
        if (await NodeAsync(cancellation))
        {
            await StatusAsync(cancellation);
            await HttpsAsync(cancellation);
        }

        OperatorToken();
        Credentials();
        Disk();
        return checks;
    }

    private async Task<bool> NodeAsync(CancellationToken cancellation)
    {
        var url = session.Node.Url;
        try
        {
            var health = await session.Anonymous(url).GetHealthAsync(cancellation);
            checks.Add(Check.Ok("node", $"{url} (from {session.Node.Source})"));
            checks.Add(Rules.Health(health.Status, health.Body));
            checks.Add(Rules.Clock(session.Environment.Clock.GetUtcNow(), health.Date));
            return true;
        }
        catch (SwarmConnectionException e)
        {
            checks.Add(Check.Fail("node", e.Message, $"Start it with ./run.sh, or name it with --url (now from {session.Node.Source})."));
            return false;
        }
    }

    private async Task StatusAsync(CancellationToken cancellation)
    {
        try
        {
            var client = session.ActingAgentOrNone is { } agent
                ? await session.ForAgentAsync(agent, cancellation)
                : await session.ForOperatorAsync(cancellation);
            var status = await client.GetStatusAsync(cancellation);
            checks.Add(Check.Ok("token", $"accepted by node {status.NodeId}, version {status.Version}"));
            checks.Add(Rules.Signals(status.Signals));
        }
        catch (Exception e) when (e is CliException or SwarmApiException or SwarmConnectionException)
        {
            var face = Failures.Face(e);
            checks.Add(Check.Fail("token", face.Message, face.Hint ?? "See the node's log."));
        }
    }

    private async Task HttpsAsync(CancellationToken cancellation)
    {
        if (session.Node.HttpsUrl is not { } url)
        {
            checks.Add(Check.Warn(
                "https", "no https address is known here", "Other nodes need it; the node's node.json names it (SWARM_DATA)."));
            return;
        }

        if (session.Node.CaFile is not { } ca)
        {
            checks.Add(Check.Warn(
                "https",
                $"there is no ca.pem beside {session.Node.Source}",
                "The node writes it when it starts; agents need it to trust its https address."));
            return;
        }

        try
        {
            var health = await session.Anonymous(url).GetHealthAsync(cancellation);
            checks.Add(Check.Ok("https", $"{url} answers {health.Status}, trusted by {ca}"));
        }
        catch (SwarmConnectionException e)
        {
            checks.Add(Check.Fail("https", e.Message, "Is the https endpoint on, and is ca.pem the one of this node?"));
        }
    }

    private void OperatorToken()
    {
        if (session.Node.OperatorTokenFile is { } path && File.Exists(path))
        {
            checks.Add(Rules.PrivateFile("operator token", path));
        }
        else
        {
            checks.Add(Check.Warn(
                "operator token",
                "there is none here",
                "Only the node's operator has it; agents work without. SWARM_DATA names the node's data folder."));
        }
    }

    private void Credentials()
    {
        if (File.Exists(session.Credentials.FilePath))
        {
            checks.Add(Rules.PrivateFile("credentials", session.Credentials.FilePath));
        }
        else
        {
            checks.Add(Check.Warn("credentials", "this profile holds no agent's token", "Make an agent with 'swarm init -a NAME'."));
        }
    }

    private void Disk()
    {
        if (session.Node.DataFolder is { } folder && Directory.Exists(folder))
        {
            checks.Add(Rules.Disk(folder, new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace));
        }
    }
}
