using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace StackExchange.Redis;

/// <summary>How to reach a server, and how long to wait for it. Times are in milliseconds unless named otherwise.</summary>
public sealed class ConfigurationOptions : ICloneable
{
    private int? _asyncTimeout;

    /// <summary>Decides about the server's certificate; the system's rules when nobody subscribed.</summary>
    public event RemoteCertificateValidationCallback? CertificateValidation;

    public EndPointCollection EndPoints { get; init; } = [];

    public string? User { get; set; }

    public string? Password { get; set; }

    public bool Ssl { get; set; }

    /// <summary>The name that the certificate must carry; the host when null.</summary>
    public string? SslHost { get; set; }

    /// <summary>Whether connecting fails when no server answers; else it goes on trying in the background.</summary>
    public bool AbortOnConnectFail { get; set; } = true;

    public int ConnectTimeout { get; set; } = 5000;

    /// <summary>How many attempts the first connect may take.</summary>
    public int ConnectRetry { get; set; } = 3;

    public int SyncTimeout { get; set; } = 5000;

    public int AsyncTimeout
    {
        get => _asyncTimeout ?? SyncTimeout;
        set => _asyncTimeout = value;
    }

    /// <summary>Seconds of silence after which the server is asked whether it lives.</summary>
    public int KeepAlive { get; set; } = 10;

    public int? DefaultDatabase { get; set; }

    /// <summary>The name that the server lists for the connections; none when null.</summary>
    public string? ClientName { get; set; }

    internal RemoteCertificateValidationCallback? CertificateCheck => CertificateValidation;

    /// <summary>Reads <c>host:port,password=…,ssl=true,…</c>.</summary>
    /// <exception cref="ArgumentException">A word is unknown, or a value malformed.</exception>
    public static ConfigurationOptions Parse(string configuration) => Parse(configuration, ignoreUnknown: false);

    /// <summary>Reads <c>host:port,password=…,ssl=true,…</c>.</summary>
    /// <exception cref="ArgumentException">A word is unknown (unless ignored), or a value malformed.</exception>
    public static ConfigurationOptions Parse(string configuration, bool ignoreUnknown)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var options = new ConfigurationOptions();
        foreach (string part in configuration.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0)
            {
                options.EndPoints.Add(part);
            }
            else
            {
                options.Set(part[..equals].Trim(), part[(equals + 1)..].Trim(), ignoreUnknown);
            }
        }

        return options;
    }

    public ConfigurationOptions Clone()
    {
        var endPoints = new EndPointCollection();
        foreach (EndPoint endPoint in EndPoints)
        {
            endPoints.Add(endPoint);
        }

        return new ConfigurationOptions
        {
            EndPoints = endPoints,
            _asyncTimeout = _asyncTimeout,
            CertificateValidation = CertificateValidation,
            User = User,
            Password = Password,
            Ssl = Ssl,
            SslHost = SslHost,
            AbortOnConnectFail = AbortOnConnectFail,
            ConnectTimeout = ConnectTimeout,
            ConnectRetry = ConnectRetry,
            SyncTimeout = SyncTimeout,
            KeepAlive = KeepAlive,
            DefaultDatabase = DefaultDatabase,
            ClientName = ClientName,
        };
    }

    object ICloneable.Clone() => Clone();

    /// <summary>The first server, with the default port filled in.</summary>
    internal EndPoint Server() => EndPoints.FirstOrDefault() switch
    {
        IPEndPoint { Port: 0 } ip => new IPEndPoint(ip.Address, DefaultPort),
        DnsEndPoint { Port: 0 } dns => new DnsEndPoint(dns.Host, DefaultPort, AddressFamily.Unspecified),
        { } other => other,
        null => throw new ArgumentException("The Redis configuration names no server."),
    };

    private int DefaultPort => Ssl ? EndPointCollection.DefaultTlsPort : EndPointCollection.DefaultPort;

    private void Set(string word, string value, bool ignoreUnknown)
    {
        switch (word.ToLowerInvariant())
        {
            case "user": User = value; break;
            case "password": Password = value; break;
            case "ssl": Ssl = Flag(word, value); break;
            case "sslhost": SslHost = value; break;
            case "abortconnect": AbortOnConnectFail = Flag(word, value); break;
            case "connecttimeout": ConnectTimeout = Number(word, value); break;
            case "connectretry": ConnectRetry = Number(word, value); break;
            case "synctimeout": SyncTimeout = Number(word, value); break;
            case "asynctimeout": AsyncTimeout = Number(word, value); break;
            case "keepalive": KeepAlive = Number(word, value); break;
            case "defaultdatabase": DefaultDatabase = Number(word, value); break;
            case "name": ClientName = value; break;
            default:
                if (!ignoreUnknown)
                {
                    throw new ArgumentException($"Keyword '{word}' is not supported.", nameof(word));
                }

                break;
        }
    }

    private static int Number(string word, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new ArgumentException($"Keyword '{word}' needs a whole number, not '{value}'.", nameof(value));

    private static bool Flag(string word, string value) => value.ToLowerInvariant() switch
    {
        "true" or "yes" or "on" or "1" => true,
        "false" or "no" or "off" or "0" => false,
        _ => throw new ArgumentException($"Keyword '{word}' needs true or false, not '{value}'.", nameof(value)),
    };
}
