using System.Text;

namespace Swarm.Client.Transport;

/// <summary>Builds the query of a URL; members without a value are left out.</summary>
internal sealed class QueryText
{
    /// <summary>The most items that the node puts on one page.</summary>
    public const int PageItemsMax = 100;

    private readonly StringBuilder text = new();

    public QueryText Add(string name, string? value)
    {
        if (value is not null)
        {
            text.Append(text.Length == 0 ? '?' : '&').Append(name).Append('=').Append(Uri.EscapeDataString(value));
        }

        return this;
    }

    public QueryText Add(string name, long? value) => Add(name, value?.ToString());

    public override string ToString() => text.ToString();
}
