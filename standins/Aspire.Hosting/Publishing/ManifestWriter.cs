using System.Globalization;
using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;

namespace Aspire.Hosting.Publishing;

/// <summary>Writes resources in the form of the Aspire manifest; values that are known at run time become expressions.</summary>
internal sealed class ManifestWriter(Utf8JsonWriter json, string folder, DistributedApplicationExecutionContext execution)
{
    /// <summary>What the resources refer to without being in the application themselves: generated passwords, escaped values.</summary>
    private readonly Dictionary<string, object> _dependents = [];

    public async Task WriteAsync(IEnumerable<IResource> resources, CancellationToken cancellationToken)
    {
        json.WriteStartObject();
        json.WriteStartObject("resources");
        var written = new HashSet<string>();
        foreach (var resource in resources)
        {
            written.Add(resource.Name);
            json.WriteStartObject(resource.Name);
            await WriteResourceAsync(resource, cancellationToken).ConfigureAwait(false);
            json.WriteEndObject();
        }

        foreach (var (name, dependent) in _dependents.Where(d => written.Add(d.Key)))
        {
            json.WriteStartObject(name);
            WriteDependent(dependent);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private async Task WriteResourceAsync(IResource resource, CancellationToken cancellationToken)
    {
        switch (resource)
        {
            case ParameterResource parameter:
                WriteParameter(parameter);
                break;
            case ProjectResource project:
                json.WriteString("type", "project.v0");
                json.WriteString("path", Path.GetRelativePath(folder, project.ProjectPath).Replace('\\', '/'));
                await WriteProcessAsync(project, cancellationToken).ConfigureAwait(false);
                break;
            case ContainerResource container:
                json.WriteString("type", "container.v0");
                WriteConnectionString(resource);
                json.WriteString("image", container.Annotations.OfType<ContainerImage>().Single().ToString());
                if (container.Entrypoint is { } entrypoint)
                {
                    json.WriteString("entrypoint", entrypoint);
                }

                await WriteProcessAsync(container, cancellationToken).ConfigureAwait(false);
                break;
            case IResourceWithConnectionString:
                json.WriteString("type", "value.v0");
                WriteConnectionString(resource);
                break;
            default:
                json.WriteString("error", $"The launcher cannot publish a {resource.GetType().Name}.");
                break;
        }
    }

    private async Task WriteProcessAsync(IResource resource, CancellationToken cancellationToken)
    {
        var arguments = await ResourceEnvironment.CollectArgumentsAsync(resource, cancellationToken).ConfigureAwait(false);
        if (arguments.Count > 0)
        {
            json.WriteStartArray("args");
            arguments.ForEach(a => json.WriteStringValue(Express(a)));
            json.WriteEndArray();
        }

        WriteVolumes(resource);
        var environment = await ResourceEnvironment.CollectAsync(resource, execution, cancellationToken).ConfigureAwait(false);
        if (environment.Count > 0)
        {
            json.WriteStartObject("env");
            foreach (var (name, value) in environment)
            {
                json.WriteString(name, Express(value));
            }

            json.WriteEndObject();
        }

        WriteBindings(resource);
    }

    private void WriteConnectionString(IResource resource)
    {
        if (resource is IResourceWithConnectionString { ConnectionStringExpression: var expression })
        {
            json.WriteString("connectionString", Express(expression));
        }
    }

    private void WriteVolumes(IResource resource)
    {
        var volumes = resource.Annotations.OfType<DataVolume>().ToList();
        if (volumes.Count == 0)
        {
            return;
        }

        json.WriteStartArray("volumes");
        foreach (var volume in volumes)
        {
            json.WriteStartObject();
            json.WriteString("name", volume.Name);
            json.WriteString("target", volume.Target);
            json.WriteBoolean("readOnly", volume.IsReadOnly);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteBindings(IResource resource)
    {
        var endpoints = resource.Annotations.OfType<EndpointAnnotation>().ToList();
        if (endpoints.Count == 0)
        {
            return;
        }

        json.WriteStartObject("bindings");
        foreach (var endpoint in endpoints)
        {
            json.WriteStartObject(endpoint.Name);
            json.WriteString("scheme", endpoint.UriScheme);
            json.WriteString("protocol", endpoint.Protocol.ToString().ToLowerInvariant());
            json.WriteString("transport", endpoint.Transport);
            if (endpoint.Port is { } port && port != endpoint.TargetPort)
            {
                json.WriteNumber("port", port);
            }

            if (endpoint.TargetPort is { } targetPort)
            {
                json.WriteNumber("targetPort", targetPort);
            }

            if (endpoint.IsExternal)
            {
                json.WriteBoolean("external", true);
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private void WriteDependent(object dependent)
    {
        if (dependent is ParameterResource parameter)
        {
            WriteParameter(parameter);
        }
        else if (dependent is UriEscaped escaped)
        {
            json.WriteString("type", "annotated.string");
            json.WriteString("value", escaped.Parameter.ValueExpression);
            json.WriteString("filter", "uri");
        }
    }

    private void WriteParameter(ParameterResource parameter)
    {
        json.WriteString("type", "parameter.v0");
        json.WriteString("value", $"{{{parameter.Name}.inputs.value}}");
        json.WriteStartObject("inputs");
        json.WriteStartObject("value");
        json.WriteString("type", "string");
        if (parameter.Secret)
        {
            json.WriteBoolean("secret", true);
        }

        if (parameter.Default is ConstantParameterDefault constant)
        {
            json.WriteStartObject("default");
            json.WriteString("value", constant.GetDefaultValue());
            json.WriteEndObject();
        }
        else if (parameter.Default is GenerateParameterDefault generate)
        {
            json.WriteStartObject("default");
            WriteGenerate(generate);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private void WriteGenerate(GenerateParameterDefault generate)
    {
        json.WriteStartObject("generate");
        json.WriteNumber("minLength", generate.MinLength);
        foreach (var (name, allowed) in new[] { ("lower", generate.Lower), ("upper", generate.Upper), ("numeric", generate.Numeric), ("special", generate.Special) })
        {
            if (!allowed)
            {
                json.WriteBoolean(name, false);
            }
        }

        foreach (var (name, minimum) in new[]
        {
            ("minLower", generate.MinLower), ("minUpper", generate.MinUpper), ("minNumeric", generate.MinNumeric), ("minSpecial", generate.MinSpecial),
        })
        {
            if (minimum != 0)
            {
                json.WriteNumber(name, minimum);
            }
        }

        json.WriteEndObject();
    }

    /// <summary>The expression of a value; what it refers to is remembered.</summary>
    private string Express(object value)
    {
        Remember(value);
        return value is IManifestExpressionProvider provider
            ? provider.ValueExpression
            : Convert.ToString(value, CultureInfo.InvariantCulture) ?? string.Empty;
    }

    private void Remember(object value)
    {
        switch (value)
        {
            case ParameterResource parameter:
                _dependents[parameter.Name] = parameter;
                break;
            case UriEscaped escaped:
                _dependents[escaped.ManifestName] = escaped;
                Remember(escaped.Parameter);
                break;
            case IResource:
                // Written for itself.
                break;
            case IValueWithReferences composed:
                foreach (var part in composed.References)
                {
                    Remember(part);
                }

                break;
        }
    }
}
