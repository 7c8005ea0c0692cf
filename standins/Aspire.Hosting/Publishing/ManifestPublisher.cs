using System.Text.Encodings.Web;
using System.Text.Json;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Publishing;

/// <summary>Writes the deployment manifest that azd reads. Starts nothing, asks for nothing, and knows no secret's value.</summary>
internal static class ManifestPublisher
{
    private const string FileName = "aspire-manifest.json";

    public static async Task PublishAsync(DistributedApplicationBuilder builder, CancellationToken cancellationToken)
    {
        if (builder.Configuration["Publishing:Publisher"] is { } publisher && !publisher.Equals("manifest", StringComparison.OrdinalIgnoreCase))
        {
            throw new DistributedApplicationException($"This launcher publishes manifests, and knows no publisher '{publisher}'.");
        }

        var output = builder.Configuration["Pipeline:OutputPath"]
            ?? throw new DistributedApplicationException("Say where the manifest goes: --output-path FILE.");
        var file = Path.GetFullPath(output.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? output : Path.Combine(output, FileName));
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        var stream = File.Create(file);
        await using (stream.ConfigureAwait(false))
        {
            var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            await using (writer.ConfigureAwait(false))
            {
                await new ManifestWriter(writer, Path.GetDirectoryName(file)!, builder.ExecutionContext).WriteAsync(builder.Resources, cancellationToken).ConfigureAwait(false);
            }
        }

        Console.WriteLine($"Published the manifest to {file}");
    }
}
