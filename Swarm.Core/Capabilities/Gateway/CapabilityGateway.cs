using Npgsql;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>What somebody wants to do, as it was sent.</summary>
public sealed record WantedIntent(string Name, IReadOnlyCollection<KeyValuePair<string, string>>? Parameters, MerkleProof? Proof = null);

/// <summary>A request to authorize one intent (A1 §14.3).</summary>
public sealed record AuthorizeRequest(SignedChain Chain, string ExecutorHex, WantedIntent Intent, string? RequestId)
{
    /// <summary>SHA-256 of the request, if its answer is to be given again; set with <see cref="Render"/>.</summary>
    public byte[]? Digest { get; init; }

    /// <summary>The body of the answer to an authorized request.</summary>
    public Func<AuthorizationResult, byte[]>? Render { get; init; }
}

/// <summary>The outcome, or the body that the same request was answered with before.</summary>
public readonly record struct AuthorizeOutcome(AuthorizationResult Result, byte[]? Earlier);

/// <summary>Whether a batch came so far that its items have outcomes (A1 §14.3: else 400).</summary>
public readonly record struct BatchOutcome(Denial? Malformed, BatchResult? Result);

/// <summary>Authorizes over this node's storage: what it knows of the principal, revocations, nonces, and an event for every attempt.</summary>
public sealed class CapabilityGateway(
    NpgsqlDataSource database, Authorizer authorizer, TrustAnchors anchors, AuthorizationLedger ledger, CapabilityOptions options, TimeProvider time)
{
    /// <summary>The longest <c>request_id</c>, in characters.</summary>
    public const int RequestIdLengthMax = 256;

    private readonly AuthorizationRules _rules = options.Read().Rules;
    private readonly bool _remembers = options is { AnswerSeconds: > 0, IsReference: false };

    public ulong ToleranceSeconds => _rules.ToleranceSeconds;

    public async Task<AuthorizeOutcome> AuthorizeAsync(AuthorizeRequest request, CancellationToken cancellation)
    {
        var (at, now) = (time.GetUtcNow(), time.UnixNow());
        Intent? intent = null;
        if (!authorizer.TryReadExecutor(request.ExecutorHex, out var executor, out var malformed))
        {
            return await RefuseAsync(malformed, null);
        }

        try
        {
            intent = Intent.Create(request.Intent.Name, request.Intent.Parameters);
        }
        catch (DenialException wrong)
        {
            return await RefuseAsync(wrong.Denial, executor);
        }

        var anchor = await anchors.GetAsync(request.Chain.Principal, request.Chain.PrincipalScope, now, cancellation);
        var validation = authorizer.Validate(request.Chain, executor, new(intent, request.Intent.Proof), anchor, now, _rules);
        var happened = EventOf(executor);
        var answer = await ledger.CommitAsync(new(validation.Query, (given, events) =>
        {
            var result = validation.Conclude(given);
            happened.Write(events, result.Denial, result.Receipt);
            return result.IsAuthorized && _remembers && request.Digest is { } digest
                ? new RememberedAnswer(digest, request.Render!(result), UnixTime.ToStored(now) + options.AnswerSeconds)
                : null;
        }));
        var outcome = validation.Conclude(answer);
        return new(outcome, answer.IsReplay && outcome.Denial is { Kind: DenialKind.NonceReplay } ? await FindAnswerAsync(request.Digest, now, cancellation) : null);

        AuthorizationEvent EventOf(Bytes32? actor) => new(at, request.Chain, actor?.ToString(), intent?.Hash, request.RequestId);

        async Task<AuthorizeOutcome> RefuseAsync(Denial denial, Bytes32? actor)
        {
            await KeepAsync(EventOf(actor), denial);
            return new(new(denial, null, null), null);
        }
    }

    public async Task<BatchOutcome> AuthorizeBatchAsync(
        SignedChain chain, string executorHex, IReadOnlyList<WantedIntent> wanted, CancellationToken cancellation)
    {
        var (at, now) = (time.GetUtcNow(), time.UnixNow());
        var executor = default(Bytes32);
        var requests = Array.Empty<IntentRequest>();
        if ((Authorizer.CheckBatchSize(wanted.Count) ?? (authorizer.TryReadExecutor(executorHex, out executor, out var wrong) ? chain.Fault : wrong)
            ?? Read(wanted, out requests)) is { } malformed)
        {
            await KeepAsync(new(at, chain, null, null, null, wanted.Count), malformed);
            return new(malformed, null);
        }

        var anchor = await anchors.GetAsync(chain.Principal, chain.PrincipalScope, now, cancellation);
        var validation = authorizer.ValidateBatch(chain, executor, requests, anchor, now, _rules);
        var happened = new AuthorizationEvent(at, chain, executor.ToString(), requests.Length > 0 ? requests[0].Intent.Hash : null, null, requests.Length);
        var answer = await ledger.CommitAsync(new(validation.Query, (given, events) =>
        {
            var result = validation.Conclude(given);
            happened.Write(events, result.Items.FirstOrDefault(item => item is not null), result.Receipt, result.Items);
            return null;
        }));
        return new(null, validation.Conclude(answer));
    }

    private static Denial? Read(IReadOnlyList<WantedIntent> wanted, out IntentRequest[] requests)
    {
        requests = [];
        try
        {
            requests = [.. wanted.Select(w => new IntentRequest(Intent.Create(w.Name, w.Parameters), w.Proof))];
            return null;
        }
        catch (DenialException wrong)
        {
            return wrong.Denial;
        }
    }

    private Task<LedgerAnswer> KeepAsync(AuthorizationEvent happened, Denial denial) => ledger.CommitAsync(new(null, (_, events) =>
    {
        happened.Write(events, denial, null);
        return null;
    }));

    private async Task<byte[]?> FindAnswerAsync(byte[]? digest, ulong now, CancellationToken cancellation)
    {
        if (digest is null || !_remembers)
        {
            return null;
        }

        await using var command = database.CreateCommand("select answer from a1_answers where request = $1 and keep_until >= $2");
        command.Parameters.Add(new() { Value = digest });
        command.Parameters.Add(new() { Value = UnixTime.ToStored(now) });
        return (byte[]?)await command.ExecuteScalarAsync(cancellation);
    }
}
