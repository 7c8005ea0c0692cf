using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using NSec.Cryptography;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;
using Swarm.Core.Presence;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>The way of a message (design §3): limits, sender, signature, authority, recipients, commit, signal.</summary>
public sealed class Intake(
    Rosters rosters, GroupCommit commit, SwarmEvents events, Introductions introductions, RemoteSwarms remote, Resyncs resyncs, RateLimiter limits, LastSeen seen,
    AgentOptions options, IntakeMeter meter,
    TimeProvider time)
{
    /// <summary>The oldest signed time that is accepted: as long as the longest retry of a sender.</summary>
    public static readonly TimeSpan PastWindow = TimeSpan.FromDays(7);

    /// <summary>How far a sender's clock may be ahead of ours.</summary>
    public static readonly TimeSpan FutureWindow = TimeSpan.FromMinutes(5);

    /// <summary>The largest message, in bytes as they arrived.</summary>
    public const int WireBytesMax = 8 * 1024 * 1024;

    /// <summary>How far ahead a message can be scheduled: it is signed now, and its receivers accept what was signed up to <see cref="PastWindow"/> ago.</summary>
    public static readonly TimeSpan DeliverAtMax = TimeSpan.FromDays(5);

    /// <summary>How often a message is checked again because its swarm kept changing, before the sender is asked to come back.</summary>
    public const int ChecksMax = 5;

    private const int SignatureLength = 64;

    /// <summary>Completes after the commit, never before; bad input is refused, not thrown.</summary>
    public ValueTask<Receipt> AcceptAsync(Envelope envelope, CancellationToken cancellation) => ContinueAsync(envelope, default, cancellation);

    /// <summary>Messages that are handed to the writer one after the other and waited for together.</summary>
    public IntakeBatch Begin(int messages) => new(this, messages);

    /// <summary>Has the cache hold the swarm's roster, if there is one.</summary>
    internal async ValueTask PrepareAsync(SwarmId swarm, CancellationToken cancellation) => await rosters.GetAsync(swarm, cancellation);

    /// <summary>Accepts with what an earlier check has found.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<Receipt> ContinueAsync(Envelope envelope, Findings found, CancellationToken cancellation)
    {
        var receipt = envelope.Unchecked
            ? await AcceptUncheckedAsync(envelope, cancellation)
            : await AcceptCheckedAsync(envelope, found, cancellation);
        meter.Count(receipt);
        return receipt;
    }

    /// <summary>
    /// The common case up to the writer: nothing has to be read, nothing speaks against the message, it is no event. Null for every other case, which is
    /// one for <see cref="ContinueAsync"/>.
    /// </summary>
    internal PendingMessage? TryQueue(Envelope envelope, CommitGroup group, ref Findings found, out int recipients)
    {
        recipients = 0;
        if (envelope.Unchecked || envelope.Event is not null || CheckLimits(envelope) is not null || rosters.Find(envelope.SwarmId) is not { } roster)
        {
            return null;
        }

        if (CheckRights(envelope, roster, ref found.VerifiedWith, out var sender, out var addressed) is not null)
        {
            found.IsRefusedByCache = true;
            return null;
        }

        found.Budget = TakeQuota(sender!, roster, envelope.Wire.Length);
        if (found.Budget is { IsAllowed: false })
        {
            return null;
        }

        recipients = addressed.Length;
        group.Add();
        var pending = Pend(envelope, sender!, roster, Listeners(roster, sender!, addressed), group);
        commit.Queue(pending);
        return pending;
    }

    /// <summary>What came of a message that <see cref="TryQueue"/> queued; its swarm had not changed meanwhile.</summary>
    internal Receipt ReceiptOf(PendingMessage pending, in CommitResult result, in Findings found, int recipients)
    {
        var receipt = ToReceipt(result, recipients, pending.Recipients.Length) with { Budget = found.Budget!.Value };
        meter.Count(receipt);
        return receipt;
    }

    /// <summary>Has the cache hold a newer roster than the one under which the message was stale.</summary>
    internal Task RefreshAsync(PendingMessage stale, CancellationToken cancellation)
    {
        if (rosters.Find(stale.Envelope.SwarmId)?.Version == stale.SwarmVersion)
        {
            rosters.Forget(stale.Envelope.SwarmId);
        }

        return rosters.GetAsync(stale.Envelope.SwarmId, cancellation).AsTask();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Receipt> AcceptCheckedAsync(Envelope envelope, Findings found, CancellationToken cancellation)
    {
        if (CheckLimits(envelope) is { } limit)
        {
            return Receipt.Refuse(limit);
        }

        var (verifiedWith, budget, fresh) = (found.VerifiedWith, found.Budget, found.IsRefusedByCache);
        for (var check = 0; check < ChecksMax; check++)
        {
            var isJoining = fresh && remote.IsJoining(envelope.Door, envelope.SwarmId);
            var roster = fresh
                ? await rosters.GetFreshAsync(envelope.SwarmId, cancellation)
                : await rosters.GetAsync(envelope.SwarmId, cancellation);
            if (CheckRights(envelope, roster, ref verifiedWith, out var sender, out var recipients) is { } refusal)
            {
                // A cached roster may lag behind a join or a new key: refuse only by a fresh one.
                if (fresh)
                {
                    if (roster is null || await events.RecallAsync(envelope, roster, cancellation) is not { } again)
                    {
                        var awaited = refusal == SwarmError.NotAMember ? await introductions.IsAwaitedAsync(roster!, envelope.Sender, cancellation)
                            : isJoining && refusal == SwarmError.UnknownSwarm ? Awaited.Yes : Awaited.No;
                        switch (awaited)
                        {
                            case Awaited.Yes:
                                return Receipt.Refuse(SwarmError.NotReady, retryAfterSeconds: 1);
                            case Awaited.SwarmChanged:
                                rosters.Forget(envelope.SwarmId);
                                continue;
                            default:
                                if (refusal == SwarmError.NotAMember)
                                {
                                    resyncs.Notice(roster!, "");
                                }

                                return Receipt.Refuse(refusal);
                        }
                    }

                    // Another copy of the event that made it so.
                    budget ??= limits.Take(RateKey.Sender(again.Sender));
                    var copy = budget is { IsAllowed: true } ? await commit.CommitAsync(again, cancellation) : default;
                    switch (copy.Status)
                    {
                        case CommitStatus.Stale:
                            rosters.Forget(envelope.SwarmId);
                            continue;
                        case CommitStatus.IdReused:
                            return Receipt.Refuse(refusal);
                        case default(CommitStatus):
                            return Receipt.Refuse(SwarmError.RateLimited, budget.Value.RetryAfterSeconds) with { Budget = budget.Value };
                        default:
                            return ToReceipt(copy, 1) with { Budget = budget.Value };
                    }
                }

                fresh = true;
                continue;
            }

            budget ??= TakeQuota(sender!, roster!, envelope.Wire.Length);
            if (budget is { IsAllowed: false } spent)
            {
                return Receipt.Refuse(SwarmError.RateLimited, spent.RetryAfterSeconds) with { Budget = spent };
            }

            var pending = Pend(envelope, sender!, roster!, Listeners(roster!, sender!, recipients));
            if (envelope.Event?.ActsAsMaster == true && sender is { Kind: AgentKind.Remote } && sender.Agent != roster!.MasterId)
            {
                resyncs.Notice(roster, sender.Name);
            }

            var result = envelope.Event?.Plan(roster!, sender!, envelope.Recipient) is { } change
                ? await events.AcceptAsync(
                    pending, change, envelope.Door is { } at ? roster!.Find(at)!.Name : "", current => PlanAgain(envelope, current), cancellation)
                : await commit.CommitAsync(pending, cancellation);
            if (result.Status != CommitStatus.Stale)
            {
                return ToReceipt(result, recipients.Length, pending.Recipients.Length) with
                {
                    Budget = budget.Value, IsOfferTaken = IsOfferTaken(envelope, roster!, sender!, result),
                };
            }

            rosters.Forget(envelope.SwarmId);
        }

        return Receipt.Refuse(SwarmError.TooBusy, retryAfterSeconds: 1);
    }

    /// <summary>The checks of an event by another version of its swarm; null when they refuse it, or leave nothing to do.</summary>
    private static (PendingMessage Message, LifecycleChange Change)? PlanAgain(Envelope envelope, Roster roster)
    {
        PublicKey? verifiedWith = null;
        if (CheckAuthority(envelope, roster, ref verifiedWith, out var sender, out var recipients) is not null
            || envelope.Event!.Plan(roster, sender!, envelope.Recipient) is not { } change)
        {
            return null;
        }

        return (Pend(envelope, sender!, roster, Listeners(roster, sender!, recipients)), change);
    }

    /// <summary>Who mutes the sender gets no delivery, and the sender is not told (ASP §10.7).</summary>
    private static AgentId[] Listeners(Roster roster, Member sender, AgentId[] recipients) =>
        roster.Mutes is { } mutes ? mutes.Listeners(recipients, sender.Name) : recipients;

    private bool IsOfferTaken(Envelope envelope, Roster roster, Member sender, CommitResult result) =>
        envelope is { Event: { } offer, Door: { } door } && result.Status is CommitStatus.Accepted or CommitStatus.Duplicate
        && offer.IsOfferTo(roster.Find(door), roster, sender, envelope.Recipient)
        && (options.MasterOffers == MasterOffers.Accept || roster.Find(door)!.TakesOver);

    private SwarmError? CheckLimits(Envelope envelope)
    {
        if (envelope.Wire.Length > WireBytesMax)
        {
            return SwarmError.BodyTooLarge;
        }

        if (envelope.SentAt is not { } sentAt)
        {
            return SwarmError.InvalidTimestamp;
        }

        var now = time.GetUtcNow();
        if (envelope.DeliverAt is { } due && (due > now + DeliverAtMax || due >= envelope.ExpiresAt))
        {
            return SwarmError.InvalidSchedule;
        }

        return sentAt < now - PastWindow || sentAt > now + FutureWindow ? SwarmError.InvalidTimestamp : null;
    }

    /// <summary>Swarm, sender, signature, recipient, in the order that the protocol's errors need (ASP §4.4).</summary>
    private static SwarmError? CheckAuthority(
        Envelope envelope, Roster? roster, ref PublicKey? verifiedWith, out Member? sender, out AgentId[] recipients)
    {
        sender = null;
        recipients = [];
        if (roster is null || (envelope.Door is { } door && roster.Find(door) is null))
        {
            return SwarmError.UnknownSwarm;
        }

        sender = roster.Find(envelope.Sender);
        if (sender is null)
        {
            return SwarmError.NotAMember;
        }

        if (!ReferenceEquals(verifiedWith, sender.Key) && !sender.Key.Equals(envelope.SignedHereWith))
        {
            var startedAt = Stopwatch.GetTimestamp();
            if (envelope.Signature.Length != SignatureLength
                || !SignatureAlgorithm.Ed25519.Verify(sender.Key, envelope.SignedBytes.Span, envelope.Signature.Span))
            {
                return SwarmError.InvalidSignature;
            }

            IntakeMeter.Verified(startedAt);
            verifiedWith = sender.Key;
        }

        return ResolveRecipients(envelope, roster, sender, out recipients) ? null : SwarmError.WrongRecipient;
    }

    /// <summary>Authority, and then what the swarm demands for sending. A lifecycle event has rules of its own: who may leave needs no capability to say so.</summary>
    private SwarmError? CheckRights(Envelope envelope, Roster? roster, ref PublicKey? verifiedWith, out Member? sender, out AgentId[] recipients) =>
        CheckAuthority(envelope, roster, ref verifiedWith, out sender, out recipients)
        ?? (roster!.Demands == SwarmActions.None || envelope.Event is not null || roster.May(sender!, SwarmActions.Send, time.GetUtcNow())
            ? null
            : SwarmError.CapabilityRequired);

    /// <summary>A door delivers to its own agent and to nobody else; only the Hub API (no door) fans out.</summary>
    private static bool ResolveRecipients(Envelope envelope, Roster roster, Member sender, out AgentId[] recipients)
    {
        recipients = [];
        var broadcast = envelope.Recipient == AgentName.Broadcast;
        if (envelope.Door is { } door)
        {
            recipients = [door];
            return broadcast || (roster.Find(envelope.Recipient) is { } addressed && addressed.Agent == door);
        }

        if (broadcast)
        {
            recipients = [.. roster.Members.Where(m => m != sender).Select(m => m.Agent)];
            return true;
        }

        if (roster.Find(envelope.Recipient) is not { } recipient)
        {
            return false;
        }

        recipients = [recipient.Agent];
        return true;
    }

    /// <summary>The sender is here; counts its verified message against it and its swarm; what came of the one that refuses, else of the sender's.</summary>
    private RateDecision TakeQuota(Member sender, Roster roster, int bytes)
    {
        seen.Note(sender.Agent);
        var own = limits.Take(RateKey.Sender(sender.Agent));
        if (own.IsAllowed && bytes > LimitOptions.SmallBytes
            && limits.Take(RateKey.SenderVolume(sender.Agent), (bytes + 1023) / 1024) is { IsAllowed: false } volume)
        {
            return volume;
        }

        return own.IsAllowed && limits.Take(RateKey.Swarm(roster.SwarmNo)) is { IsAllowed: false } common ? common : own;
    }

    private static PendingMessage Pend(Envelope envelope, Member sender, Roster roster, AgentId[] recipients, CommitGroup? group = null) => new()
    {
        Group = group,
        Envelope = envelope,
        Sender = sender.Agent,
        Fingerprint = Fingerprint(envelope.SignedBytes.Span, sender.RawKey),
        SwarmNo = roster.SwarmNo,
        SwarmVersion = roster.Version,
        Recipients = recipients,
        SentAt = envelope.SentAt!.Value,
        Trace = Activity.Current is { Recorded: true } activity ? activity.Id : null,
    };

    /// <summary>SHA-256 over the protocol's signed bytes and the sender's key (design §3 promise 3).</summary>
    internal static byte[] Fingerprint(ReadOnlySpan<byte> signedBytes, ReadOnlySpan<byte> key)
    {
        Span<byte> input = stackalloc byte[signedBytes.Length + key.Length];
        signedBytes.CopyTo(input);
        key.CopyTo(input[signedBytes.Length..]);
        return SHA256.HashData(input);
    }

    private async ValueTask<Receipt> AcceptUncheckedAsync(Envelope envelope, CancellationToken cancellation)
    {
        var roster = await rosters.GetFreshAsync(envelope.SwarmId, cancellation);
        while (true)
        {
            var result = await commit.CommitAsync(
                new()
                {
                    Envelope = envelope,
                    Sender = default,
                    Fingerprint = SHA256.HashData(envelope.SignedBytes.Span),
                    SwarmNo = roster?.SwarmNo,
                    SwarmVersion = roster?.Version ?? 0,
                    Recipients = [envelope.Door!.Value],
                    SentAt = envelope.SentAt ?? time.GetUtcNow(),
                    Trace = null,
                },
                cancellation);
            switch (result.Status)
            {
                case CommitStatus.Stale:
                    rosters.Forget(envelope.SwarmId);
                    roster = await rosters.GetAsync(envelope.SwarmId, cancellation);
                    continue;
                case CommitStatus.IdReused:
                    return new(ReceiptStatus.Duplicate, 0, 0, null, 0);
                default:
                    return ToReceipt(result, 1);
            }
        }
    }

    /// <summary>To the sender the deaf are recipients like others.</summary>
    private static Receipt ToReceipt(in CommitResult result, int recipients, int listeners) =>
        ToReceipt(result.Status == CommitStatus.Accepted ? result with { Recipients = result.Recipients + recipients - listeners } : result, recipients);

    private static Receipt ToReceipt(CommitResult result, int recipients) => result.Status switch
    {
        CommitStatus.Accepted => new(ReceiptStatus.Accepted, recipients == 1 ? result.Seq : 0, result.Recipients, null, 0),
        CommitStatus.Duplicate => new(ReceiptStatus.Duplicate, recipients == 1 ? result.Seq : 0, 0, null, 0),
        CommitStatus.IdReused => Receipt.Refuse(SwarmError.MessageIdReused),
        CommitStatus.BadData => Receipt.Refuse(SwarmError.InvalidRequest),
        CommitStatus.Busy => Receipt.Refuse(SwarmError.TooBusy, retryAfterSeconds: 1),
        _ => Receipt.Refuse(SwarmError.Unavailable, retryAfterSeconds: 2),
    };

    /// <summary>What one check of an envelope tells the next, so that nothing is verified or counted twice.</summary>
    internal struct Findings
    {
        public PublicKey? VerifiedWith;

        public RateDecision? Budget;

        /// <summary>A cached roster refused it: only a fresh one may do so for good.</summary>
        public bool IsRefusedByCache;
    }
}
