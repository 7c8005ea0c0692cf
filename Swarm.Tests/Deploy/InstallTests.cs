using System.Text.RegularExpressions;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Deploy;

/// <summary>The installer, the proxy samples and the units, as far as they can be tried without a machine to spoil.</summary>
[Shown(By.EndToEnd)]
public sealed partial class InstallTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("swarm-root-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [Conforms("ASP-100")]
    [InlineData("nginx", "etc/nginx/conf.d/swarm.conf")]
    [InlineData("angie", "etc/angie/http.d/swarm.conf")]
    [InlineData("caddy", "etc/caddy/Caddyfile")]
    public async Task It_may_run_again_and_keeps_secrets_and_settings(string proxy, string site)
    {
        if (OperatingSystem.IsWindows())
        {
            return; // It is for Debian and Ubuntu.
        }

        var (code, output) = await InstallAsync("--domain", "hub.example.org", "--proxy", proxy);
        Assert.True(code == 0, output);
        var made = Files();
        Assert.Equal(
            new[]
            {
                site, "etc/swarm/secrets/ConnectionStrings__swarm", "etc/swarm/secrets/Swarm__MasterKey", "etc/swarm/secrets/postgres-password", "etc/swarm/swarm.env",
                "etc/systemd/system/swarm-api.service", "etc/systemd/system/swarm-worker.service",
            }.Order(StringComparer.Ordinal),
            made.Keys);
        Assert.Contains("hub.example.org", made[site], StringComparison.Ordinal);
        Assert.DoesNotContain("swarm.example.com", made[site], StringComparison.Ordinal);
        Assert.Contains("Swarm__PublicUrl=https://hub.example.org\n", made["etc/swarm/swarm.env"], StringComparison.Ordinal);
        Assert.Equal(64, made["etc/swarm/secrets/Swarm__MasterKey"].Length);
        Assert.Contains($"Password={made["etc/swarm/secrets/postgres-password"]};", made["etc/swarm/secrets/ConnectionStrings__swarm"], StringComparison.Ordinal);
        foreach (var secret in Directory.GetFiles(Path.Combine(_root, "etc/swarm/secrets")))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret));
            Assert.DoesNotContain(await File.ReadAllTextAsync(secret), output, StringComparison.Ordinal);
        }

        // Again: nothing changes. What the operator edited in the settings stays; a changed unit is replaced, and kept beside.
        (code, output) = await InstallAsync("--domain", "hub.example.org", "--proxy", proxy);
        Assert.True(code == 0, output);
        Assert.Equal(made, Files());
        await File.AppendAllTextAsync(Path.Combine(_root, "etc/swarm/swarm.env"), "Limits__SenderPerMinute=10\n");
        await File.AppendAllTextAsync(Path.Combine(_root, "etc/systemd/system/swarm-api.service"), "# mine\n");
        (code, output) = await InstallAsync("--domain", "hub.example.org", "--proxy", proxy);
        Assert.True(code == 0, output);
        Assert.EndsWith("Changed: /etc/systemd/system/swarm-api.service", output.TrimEnd(), StringComparison.Ordinal);
        var again = Files();
        Assert.EndsWith("Limits__SenderPerMinute=10\n", again["etc/swarm/swarm.env"], StringComparison.Ordinal);
        Assert.Equal(made["etc/systemd/system/swarm-api.service"], again["etc/systemd/system/swarm-api.service"]);
        Assert.EndsWith("# mine\n", again["etc/systemd/system/swarm-api.service.before"], StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-100")]
    public async Task A_dry_run_says_what_it_would_do_and_changes_nothing()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var (code, output) = await InstallAsync("--domain", "hub.example.org", "--proxy", "nginx", "--dry-run");
        Assert.True(code == 0, output);
        Assert.Contains($"would write: {_root}/etc/nginx/conf.d/swarm.conf", output, StringComparison.Ordinal);
        Assert.Contains($"would make: {_root}/etc/swarm/secrets/Swarm__MasterKey", output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_root));
    }

    [Theory]
    [InlineData]
    [InlineData("--domain")]
    [InlineData("--domain", "localhost")]
    [InlineData("--domain", "a b.example.com")]
    [InlineData("--domain", "x.example.com;reboot")]
    [InlineData("--domain", "x.example.com/../..")]
    [InlineData("--domain", "hub.example.org", "--proxy", "apache")]
    [InlineData("--domain", "hub.example.org", "--nonsense")]
    public async Task Bad_arguments_change_nothing(params string[] arguments)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var (code, output) = await InstallAsync(arguments);
        Assert.True(code == 2, output);
        Assert.Empty(Directory.GetFileSystemEntries(_root));
    }

    [Theory]
    [Conforms("ASP-100")]
    [InlineData("nginx.conf")]
    [InlineData("angie.conf")]
    [InlineData("Caddyfile")]
    public async Task A_proxy_sample_has_what_the_protocol_asks_for(string name)
    {
        var text = await File.ReadAllTextAsync(Path.Combine(Folder(), "proxy", name));
        var rules = string.Join('\n', text.Split('\n').Select(line => line.Trim()).Where(line => !line.StartsWith('#')));
        string[] needed =
        [
            "Strict-Transport-Security", "max-age=31536000; includeSubDomains", "X-Frame-Options DENY", "X-Content-Type-Options nosniff", "X-XSS-Protection",
            "Referrer-Policy", "127.0.0.1:8700", "404", "10s", "30s",
            .. name == "Caddyfile"
                ? new[] { "protocols tls1.2 tls1.3", "max_size 16MB", "path_regexp ^(/agents/[^/]+)?/swarm/(message|join|health|info)$" }
                : ["ssl_protocols TLSv1.2 TLSv1.3;", "http2 on;", "http3 on;", "listen 443 quic", "client_max_body_size 16m;", "X-Forwarded-For $proxy_add_x_forwarded_for;", "proxy_buffering off;", "return 301 https://", "acme-challenge", "zone=swarm_joins"],
        ];
        Assert.All(needed, part => Assert.Contains(part, rules, StringComparison.Ordinal));
        Assert.Equal(rules.Count(c => c == '{'), rules.Count(c => c == '}'));

        // Neither the Hub API nor the local endpoints are published.
        Assert.DoesNotContain("/hub", rules, StringComparison.Ordinal);
        Assert.DoesNotContain("/api", rules, StringComparison.Ordinal);
    }

    [Theory]
    [Conforms("ASP-100")]
    [InlineData("swarm-api.service", "Swarm.Api.dll")]
    [InlineData("swarm-worker.service", "Swarm.Worker.dll run")]
    public async Task A_unit_starts_its_program_as_a_user_without_rights(string name, string program)
    {
        var lines = await File.ReadAllLinesAsync(Path.Combine(Folder(), "systemd", name));
        Assert.Contains($"ExecStart=/usr/bin/env dotnet {program}", lines);
        Assert.Contains("User=swarm", lines);
        Assert.Contains("Restart=always", lines);
        Assert.Contains("NoNewPrivileges=yes", lines);
        Assert.Contains("ProtectSystem=strict", lines);
        Assert.Contains("StateDirectory=swarm", lines);
        Assert.Equal(["[Unit]", "[Service]", "[Install]"], lines.Where(line => line.StartsWith('[')));
        Assert.All(lines.Where(line => line.Length > 0 && line[0] is not ('#' or '[')), line => Assert.Matches(Setting(), line));
        Assert.Equal(name == "swarm-api.service", lines.Any(line => line.StartsWith("ExecStartPre=", StringComparison.Ordinal)));
    }

    private Task<(int Code, string Output)> InstallAsync(params string[] arguments) => ChildProcess.RunAsync(
        _root, new Dictionary<string, string?>(), "bash", [Path.Combine(Folder(), "install.sh"), "--root", _root, .. arguments]);

    private SortedDictionary<string, string> Files() => new(
        Directory.GetFiles(_root, "*", SearchOption.AllDirectories).ToDictionary(path => Path.GetRelativePath(_root, path), File.ReadAllText), StringComparer.Ordinal);

    private static string Folder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Swarm.sln")))
        {
            folder = folder.Parent!;
        }

        return Path.Combine(folder.FullName, "deploy");
    }

    [GeneratedRegex("^[A-Z][A-Za-z]*=")]
    private static partial Regex Setting();
}
