using System.Globalization;
using System.Runtime.CompilerServices;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Text with values in it that are known at run time, and that a manifest writes as expressions.</summary>
public class ReferenceExpression : IExpressionValue, IValueWithReferences
{
    private readonly object[] _values;

    private ReferenceExpression(string format, object[] values)
    {
        Format = format;
        _values = values;
    }

    /// <summary>The text, with <c>{0}</c>, <c>{1}</c> … in place of the values.</summary>
    public string Format { get; }

    public IReadOnlyList<IValueProvider> ValueProviders => [.. _values.Cast<IValueProvider>()];

    public IReadOnlyList<string> ManifestExpressions => [.. _values.Cast<IManifestExpressionProvider>().Select(v => v.ValueExpression)];

    public string ValueExpression => string.Format(CultureInfo.InvariantCulture, Format, [.. ManifestExpressions]);

    IEnumerable<object> IValueWithReferences.References => _values;

    /// <returns>The text with its values; null when one of them is null.</returns>
    public async ValueTask<string?> GetValueAsync(CancellationToken cancellationToken)
    {
        var resolved = new object?[_values.Length];
        for (var i = 0; i < _values.Length; i++)
        {
            resolved[i] = await ((IValueProvider)_values[i]).GetValueAsync(cancellationToken).ConfigureAwait(false);
            if (resolved[i] is null)
            {
                return null;
            }
        }

        return string.Format(CultureInfo.InvariantCulture, Format, resolved);
    }

    /// <summary>Makes one from an interpolated string, such as <c>$"{host}:{port}"</c>.</summary>
    public static ReferenceExpression Create(in ExpressionInterpolatedStringHandler handler) => Of([.. handler.Parts]);

    /// <summary>Literal parts are strings; every other part is a value.</summary>
    internal static ReferenceExpression Of(params object[] parts)
    {
        var format = new System.Text.StringBuilder();
        var values = new List<object>();
        foreach (var part in parts)
        {
            if (part is string literal)
            {
                format.Append(literal.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));
            }
            else
            {
                format.Append('{').Append(values.Count).Append('}');
                values.Add(part);
            }
        }

        return new ReferenceExpression(format.ToString(), [.. values]);
    }

    /// <summary>Takes an interpolated string apart.</summary>
    [InterpolatedStringHandler]
    public ref struct ExpressionInterpolatedStringHandler(int literalLength, int formattedCount)
    {
        internal List<object> Parts { get; } = new(literalLength > 0 ? (2 * formattedCount) + 1 : formattedCount);

        public readonly void AppendLiteral(string value) => Parts.Add(value);

        public readonly void AppendFormatted(string? value) => Parts.Add(value ?? string.Empty);

        public readonly void AppendFormatted<T>(T valueProvider)
            where T : IValueProvider, IManifestExpressionProvider => Parts.Add(valueProvider);
    }
}

/// <summary>A value escaped for a URI; a manifest names it as an annotated string beside the resources.</summary>
internal sealed class UriEscaped(ParameterResource parameter) : IExpressionValue, IValueWithReferences
{
    public ParameterResource Parameter { get; } = parameter;

    public string ManifestName => $"{Parameter.Name}-uri-encoded";

    public string ValueExpression => $"{{{ManifestName}.value}}";

    public IEnumerable<object> References => [Parameter];

    public async ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        await Parameter.GetValueAsync(cancellationToken).ConfigureAwait(false) is { } value ? Uri.EscapeDataString(value) : null;
}
