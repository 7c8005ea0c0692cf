using System.Text;
using Swarm.Client.Transport;

namespace Swarm.Client;

/// <summary>A one-use token with which an agent may enrol itself; shown this once.</summary>
public sealed record CreatedEnrolment(string EnrolmentToken, DateTimeOffset ExpiresAt);

/// <summary>An agent's own request to be created, with proof that it holds the private key.</summary>
public sealed record Enrolment
{
    public required string EnrolmentToken { get; init; }

    public required string Name { get; init; }

    /// <summary>Base64 of the 32-byte Ed25519 public key.</summary>
    public required string PublicKey { get; init; }

    /// <summary>Base64 of the Ed25519 signature over <see cref="ProofBytes"/>.</summary>
    public required string Proof { get; init; }

    public string? Endpoint { get; init; }

    /// <summary>The bytes that the agent signs to prove that it holds its key.</summary>
    public static byte[] ProofBytes(string enrolmentToken, string name) =>
        Encoding.UTF8.GetBytes($"swarm-enrol-v1\n{enrolmentToken}\n{name}");
}

internal sealed record NewEnrolment(int? ExpiresInHours);

public sealed partial class SwarmClient
{
    /// <summary>A one-use enrolment token; operators with the role admin only. Not repeated when the answer is lost.</summary>
    public Task<CreatedEnrolment> CreateEnrolmentAsync(int? expiresInHours = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post("enrolments", new NewEnrolment(expiresInHours), HubJson.Wire.NewEnrolment),
            HubJson.Wire.CreatedEnrolment,
            cancellation);

    /// <summary>Enrols an external agent; needs no bearer token. Not repeated when the answer is lost: the token is used up.</summary>
    public Task<CreatedAgent> EnrolAsync(Enrolment enrolment, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post("enrol", enrolment, HubJson.Wire.Enrolment) with { Anonymous = true }, HubJson.Wire.CreatedAgent, cancellation);
}
