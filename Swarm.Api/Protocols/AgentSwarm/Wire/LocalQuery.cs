using System.Globalization;
using System.Text.Json;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>The query of a local list (ASP §9). Of a repeated parameter the last counts.</summary>
internal sealed class LocalQuery(HttpRequest request)
{
    private const int LimitDefault = 20;

    private readonly List<ShapeFailure> _failures = [];

    public IReadOnlyList<ShapeFailure> Failures => _failures;

    public bool Has(string name) => request.Query.ContainsKey(name);

    public string? Text(string name) => request.Query[name] is { Count: > 0 } values ? values[^1] ?? "" : null;

    /// <summary>1 to 100; else a failure is noted.</summary>
    public int Limit()
    {
        if (Text("limit") is not { } text)
        {
            return LimitDefault;
        }

        if (!IsInteger(text))
        {
            Fail("limit", "int_parsing", "Input should be a valid integer, unable to parse string as an integer", text);
            return LimitDefault;
        }

        var limit = decimal.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : text.StartsWith('-') ? decimal.MinValue : decimal.MaxValue;
        switch (limit)
        {
            case < 1:
                Fail("limit", "greater_than_equal", "Input should be greater than or equal to 1", text, ("ge", 1));
                return LimitDefault;
            case > AgentSwarmLimits.PageMax:
                Fail("limit", "less_than_equal", $"Input should be less than or equal to {AgentSwarmLimits.PageMax}", text, ("le", AgentSwarmLimits.PageMax));
                return LimitDefault;
            default:
                return (int)limit;
        }
    }

    /// <summary>The <c>next_cursor</c> of an earlier answer; null from the newest on.</summary>
    public long? Cursor()
    {
        if (Text("cursor") is not { Length: > 0 } text)
        {
            return null;
        }

        if (text.All(char.IsAsciiDigit) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var cursor))
        {
            return cursor;
        }

        Fail("cursor", "int_parsing", "Input should be the next_cursor of an earlier answer", text);
        return null;
    }

    /// <summary>False when the parameter names something that cannot be a swarm, so that nothing fits it. Empty is like absent.</summary>
    public bool Swarm(out SwarmId? swarm)
    {
        swarm = null;
        if (Text("swarm_id") is not { Length: > 0 } text)
        {
            return true;
        }

        var isId = AspUuid.TryParse(text, out var id);
        swarm = new(id);
        return isId;
    }

    /// <summary>The same for an agent's text id.</summary>
    public bool Sender(out string? sender)
    {
        sender = Text("sender_id") is { Length: > 0 } text ? text : null;
        return sender is null || AgentName.IsValid(sender);
    }

    private static bool IsInteger(string text) => text.AsSpan().TrimStart("+-") is { Length: > 0 } digits
        && digits.Length >= text.Length - 1 && !digits.ContainsAnyExceptInRange('0', '9');

    private void Fail(string name, string type, string message, string input, (string, object)? context = null) =>
        _failures.Add(new(type, [name], message, JsonSerializer.SerializeToElement(input, LocalInputJson.Default.String), context) { Part = "query" });
}

[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class LocalInputJson : System.Text.Json.Serialization.JsonSerializerContext;
