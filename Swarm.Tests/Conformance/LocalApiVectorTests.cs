using System.Text.RegularExpressions;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Conformance;

/// <summary>The vectors of the local endpoints (ASP §9, §23), at a node whose local API is open, as they expect it.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Vector)]
public sealed partial class LocalApiVectorTests(PostgresFixture postgres)
{
    public static TheoryData<string, string> Requests => VectorFile.Rows(
        vector => vector.Json.GetProperty("request").GetProperty("path").GetString()!.StartsWith("/api/", StringComparison.Ordinal), "http");

    public static TheoryData<string, string> Sequences => VectorFile.Rows(
        vector => vector.Json.TryGetProperty("steps", out var steps)
            && steps[0].TryGetProperty("path", out var path) && path.GetString()!.StartsWith("/api/inbox/", StringComparison.Ordinal),
        "http-sequence");

    [Theory]
    [MemberData(nameof(Requests))]
    [Conforms("ASP-65", "ASP-69", "ASP-29")]
    public async Task A_local_request_is_answered_as_the_reference_answers_it(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await using var server = await VectorServer.StartAsync(postgres, isReference: true);
        await server.PrepareAsync(vector);
        VectorServer.AssertExpected(vector, await server.SendAsync(vector));
    }

    [Theory]
    [MemberData(nameof(Sequences))]
    [Conforms("ASP-67", "ASP-68")]
    public async Task A_sequence_of_local_requests_is_answered_step_by_step(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await using var server = await VectorServer.StartAsync(postgres, isReference: true);
        // The message that must be unread: any message of the id that the first step names.
        var message = MessageId().Match(vector.Json.GetProperty("steps")[0].GetProperty("path").GetString()!).Value;
        var wire = MessageParser.Parse(VectorFile.Published.Base("MSG-01").Wire()) with { MessageId = new(Guid.Parse(message)) };
        Assert.Equal(200, (await server.Node.Http.PostAsync("/swarm/message", MessageWriter.Write(wire))).Code);
        await server.RunStepsAsync(vector);
    }

    [GeneratedRegex("[0-9a-f]{8}-[0-9a-f-]{27}")]
    private static partial Regex MessageId();
}
