using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Running;

/// <summary>What every project gets before the app host's program adds to it: its endpoints and the variables that Aspire sets.</summary>
internal static class ProjectDefaults
{
    public static void Apply(IResourceBuilder<ProjectResource> builder)
    {
        var project = builder.Resource;
        var application = builder.ApplicationBuilder;
        var isRunMode = application.ExecutionContext.IsRunMode;
        AddTelemetry(builder, application);

        var profile = LaunchProfile.Read(project.ProjectFolder, application.Configuration["AppHost:DefaultLaunchProfileName"] ?? application.Configuration["DOTNET_LAUNCH_PROFILE"]);
        var kestrel = KestrelEndpoints(project.ProjectFolder);
        AddKestrelEndpoints(builder, kestrel, isRunMode);
        builder.WithEnvironment(context => SetKestrelUrls(context, project));
        if (isRunMode)
        {
            if (kestrel.Count == 0)
            {
                AddProfileEndpoints(builder, profile);
                builder.WithEnvironment(context => SetUrls(context, project));
            }

            AddProfileVariables(builder, profile);
        }
        else
        {
            AddPublishedEndpoints(builder, hasUrls: kestrel.Count > 0 || profile?.Urls.Count > 0);
            if (kestrel.Count == 0)
            {
                builder.WithEnvironment(context => SetPorts(context, project));
            }
        }
    }

    private static void AddTelemetry(IResourceBuilder<ProjectResource> builder, IDistributedApplicationBuilder application)
    {
        builder.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY", "in_memory");
        if (application.ExecutionContext.IsPublishMode)
        {
            builder.WithEnvironment(context =>
            {
                if (builder.Resource.Annotations.OfType<EndpointAnnotation>().Any())
                {
                    context.EnvironmentVariables["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] = "true";
                }
            });
            return;
        }

        if (application.Environment.IsDevelopment())
        {
            builder.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION", "true")
                .WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION", "true")
                .WithEnvironment("OTEL_BLRP_SCHEDULE_DELAY", "1000")
                .WithEnvironment("OTEL_BSP_SCHEDULE_DELAY", "1000")
                .WithEnvironment("OTEL_METRIC_EXPORT_INTERVAL", "1000")
                .WithEnvironment("OTEL_TRACES_SAMPLER", "always_on")
                .WithEnvironment("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based")
                .WithEnvironment("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
        }

        builder.WithEnvironment("OTEL_SERVICE_NAME", builder.Resource.Name)
            .WithEnvironment(context => TelemetryCollector.Describe(application.Configuration, context.EnvironmentVariables))
            .WithEnvironment("DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION", "true")
            .WithEnvironment("LOGGING__CONSOLE__FORMATTERNAME", "simple");
    }

    private static List<(string Name, Uri Url, string? Protocols)> KestrelEndpoints(string projectFolder)
    {
        var environment = Environment.GetEnvironmentVariable("ASPNETCORE_ENVIRONMENT") ?? Environment.GetEnvironmentVariable("DOTNET_ENVIRONMENT");
        var settings = new ConfigurationBuilder()
            .AddJsonFile(Path.Combine(projectFolder, "appsettings.json"), optional: true)
            .AddJsonFile(Path.Combine(projectFolder, $"appsettings.{environment}.json"), optional: true)
            .Build();
        var defaults = settings["Kestrel:EndpointDefaults:Protocols"];
        return [.. settings.GetSection("Kestrel:Endpoints").GetChildren()
            .Where(e => e["Url"] is not null)
            .Select(e => (e.Key, new Uri(e["Url"]!.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal)), e["Protocols"] ?? defaults))];
    }

    private static void AddKestrelEndpoints(
        IResourceBuilder<ProjectResource> builder, List<(string Name, Uri Url, string? Protocols)> endpoints, bool isRunMode)
    {
        // An endpoint that is alone in its scheme bears the scheme's name, whatever its configuration calls it.
        foreach (var scheme in endpoints.GroupBy(e => e.Url.Scheme))
        {
            foreach (var (name, url, protocols) in scheme)
            {
                builder.WithEndpoint(scheme.Count() == 1 ? scheme.Key : name, endpoint =>
                {
                    endpoint.UriScheme = url.Scheme;
                    endpoint.TargetHost = url.Host;
                    endpoint.Transport = protocols == "Http2" ? "http2" : "http";
                    endpoint.FromKestrel = true;
                    if (isRunMode)
                    {
                        endpoint.Port = url.Port;
                    }
                    else
                    {
                        endpoint.TargetPort = url.Port;
                    }
                });
            }
        }
    }

    private static void AddProfileEndpoints(IResourceBuilder<ProjectResource> builder, LaunchProfile? profile)
    {
        foreach (var scheme in (profile?.Urls ?? []).GroupBy(u => u.Scheme))
        {
            foreach (var (index, url) in scheme.Index())
            {
                builder.WithEndpoint(index == 0 ? scheme.Key : $"{scheme.Key}{index + 1}", endpoint =>
                {
                    endpoint.UriScheme = url.Scheme;
                    endpoint.Transport = "http";
                    endpoint.TargetHost = url.Host;
                    endpoint.Port = url.Port;
                });
            }
        }
    }

    private static void AddProfileVariables(IResourceBuilder<ProjectResource> builder, LaunchProfile? profile)
    {
        if (profile is null)
        {
            return;
        }

        builder.WithEnvironment(context =>
        {
            context.EnvironmentVariables.TryAdd("DOTNET_LAUNCH_PROFILE", profile.Name);
            foreach (var (name, value) in profile.Environment)
            {
                context.EnvironmentVariables.TryAdd(name, value);
            }
        });
        if (profile.Arguments.Count > 0)
        {
            builder.WithArgs([.. profile.Arguments]);
        }
    }

    /// <summary>Publishing gives a web project an http and an https binding with one target port; its image listens on http alone.</summary>
    private static void AddPublishedEndpoints(IResourceBuilder<ProjectResource> builder, bool hasUrls)
    {
        if (!hasUrls)
        {
            return;
        }

        EndpointAnnotation GetOrAdd(string scheme)
        {
            var known = builder.Resource.Annotations.OfType<EndpointAnnotation>().Where(e => e.UriScheme == scheme).OrderBy(e => e.Name == scheme ? 0 : 1).FirstOrDefault();
            if (known is null)
            {
                builder.WithEndpoint(scheme, e => known = e);
                known!.IsDefaultHttps = scheme == "https";
            }

            return known;
        }

        var http = GetOrAdd("http");
        var https = GetOrAdd("https");
        http.TargetPort = https.TargetPort = http.TargetPort ?? https.TargetPort;
    }

    private static void SetKestrelUrls(EnvironmentCallbackContext context, ProjectResource project)
    {
        if (!project.Annotations.OfType<EndpointAnnotation>().Any(e => e.FromKestrel))
        {
            return;
        }

        foreach (var endpoint in ToldTo(project))
        {
            // A container must listen on every address of its own.
            var host = context.ExecutionContext.IsRunMode && endpoint.FromKestrel ? endpoint.TargetHost : "*";
            context.EnvironmentVariables[$"Kestrel__Endpoints__{endpoint.Name}__Url"] =
                ReferenceExpression.Of($"{endpoint.UriScheme}://{host}:", TargetPort(project, endpoint));
        }
    }

    private static void SetUrls(EnvironmentCallbackContext context, ProjectResource project)
    {
        var parts = new List<object>();
        foreach (var endpoint in ToldTo(project))
        {
            if (endpoint.UriScheme == "https")
            {
                context.EnvironmentVariables.TryAdd("ASPNETCORE_HTTPS_PORT", new EndpointReference(project, endpoint).Property(EndpointProperty.Port));
            }

            parts.Add($"{(parts.Count > 0 ? ";" : string.Empty)}{endpoint.UriScheme}://{endpoint.TargetHost}:");
            parts.Add(TargetPort(project, endpoint));
        }

        if (parts.Count > 0)
        {
            context.EnvironmentVariables["ASPNETCORE_URLS"] = ReferenceExpression.Of([.. parts]);
        }
    }

    private static void SetPorts(EnvironmentCallbackContext context, ProjectResource project)
    {
        foreach (var scheme in new[] { "http", "https" })
        {
            var parts = new List<object>();
            foreach (var endpoint in ToldTo(project).Where(e => e.UriScheme == scheme))
            {
                parts.AddRange(parts.Count > 0 ? [";", TargetPort(project, endpoint)] : [TargetPort(project, endpoint)]);
            }

            if (parts.Count > 0)
            {
                context.EnvironmentVariables[$"{scheme.ToUpperInvariant()}_PORTS"] = ReferenceExpression.Of([.. parts]);
            }
        }
    }

    /// <summary>The endpoints that the process is to listen on.</summary>
    private static IEnumerable<EndpointAnnotation> ToldTo(ProjectResource project)
    {
        var filters = project.Annotations.OfType<EndpointFilter>().ToList();
        return project.Annotations.OfType<EndpointAnnotation>().Where(e => !e.IsDefaultHttps && filters.TrueForAll(f => f.Passes(e)));
    }

    private static EndpointReferenceExpression TargetPort(ProjectResource project, EndpointAnnotation endpoint) =>
        new EndpointReference(project, endpoint).Property(EndpointProperty.TargetPort);
}
