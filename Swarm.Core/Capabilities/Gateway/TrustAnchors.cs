using System.Collections.Concurrent;
using System.Text.Json;
using Npgsql;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Identity;
using Swarm.Core.Signals;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>
/// What this node knows of a principal. Kept only while it holds a live passport of the chain's own scope: a stale entry can then refuse what a
/// newer passport would allow, for <see cref="BelievedFor"/> at most, and never allow what was revoked, which the ledger looks up each time.
/// </summary>
public sealed class TrustAnchors
{
    /// <summary>The most principals that are kept; above it the cache starts again.</summary>
    public const int AnchorsMax = 10_000;

    /// <summary>The most passports of one principal that are looked at: those with the chain's scope and the longest life first.</summary>
    public const int PassportsMax = 64;

    public static readonly TimeSpan BelievedFor = TimeSpan.FromSeconds(5);

    private readonly NpgsqlDataSource _database;
    private readonly GatewayKeys _gateway;
    private readonly PublicKeys _keys;
    private readonly TimeProvider _time;
    private readonly bool _isReference;
    private readonly IReadOnlySet<Bytes32> _trusted;
    private readonly ConcurrentDictionary<(Bytes32 Principal, Bytes32 Scope), (TrustAnchor Anchor, long ReadAt)> _known = new();
    private int _changes;

    public TrustAnchors(NpgsqlDataSource database, GatewayKeys gateway, PublicKeys keys, CapabilityOptions options, ControlEvents control, TimeProvider time)
    {
        (_database, _gateway, _keys, _time, _isReference) = (database, gateway, keys, time, options.IsReference);
        _trusted = options.Read().Trusted;
        control.Missed += Forget;
        control.Changed += change =>
        {
            if (change.Kind == ControlKind.Passport)
            {
                Forget();
            }
        };
    }

    public async ValueTask<TrustAnchor> GetAsync(Bytes32 principal, Bytes32 scope, ulong now, CancellationToken cancellation)
    {
        if (principal == (_gateway.Current ?? await _gateway.GetAsync(cancellation)).PublicKey)
        {
            return TrustAnchor.Pinned;
        }

        if (_known.TryGetValue((principal, scope), out var known) && _time.GetElapsedTime(known.ReadAt) < BelievedFor && IsLive(known.Anchor, scope, now))
        {
            return known.Anchor;
        }

        var readAt = _time.GetTimestamp();
        var changes = Volatile.Read(ref _changes);
        var anchor = new TrustAnchor(_isReference || _trusted.Contains(principal), await ReadAsync(principal, scope, cancellation));
        if (IsLive(anchor, scope, now) && changes == Volatile.Read(ref _changes))
        {
            if (_known.Count >= AnchorsMax)
            {
                _known.Clear();
            }

            _known[(principal, scope)] = (anchor, readAt);
            if (changes != Volatile.Read(ref _changes))
            {
                _known.TryRemove((principal, scope), out _);
            }
        }

        return anchor;
    }

    private static bool IsLive(TrustAnchor anchor, Bytes32 scope, ulong now)
    {
        foreach (var passport in anchor.Passports)
        {
            if (passport.ScopeRoot == scope && passport.ExpiresAt >= now)
            {
                return true;
            }
        }

        return false;
    }

    private void Forget()
    {
        Interlocked.Increment(ref _changes);
        _known.Clear();
    }

    private async Task<IReadOnlyList<KnownPassport>> ReadAsync(Bytes32 principal, Bytes32 scope, CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand(
            """
            select fingerprint, document from a1_passports where holder = $1
            order by scope_root = $2 desc, revoked_at is null desc, expires_at desc limit $3
            """);
        command.Parameters.Add(new() { Value = principal.ToArray() });
        command.Parameters.Add(new() { Value = scope.ToArray() });
        command.Parameters.Add(new() { Value = PassportsMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var passports = new List<KnownPassport>();
        while (await reader.ReadAsync(cancellation))
        {
            var passport = Parse(reader.GetFieldValue<byte[]>(1), _keys);
            passports.Add(new(Bytes32.Read(reader.GetFieldValue<byte[]>(0)), passport.Root.ScopeRoot, passport.Root.ExpiresAt, passport.Capabilities));
        }

        return passports;
    }

    /// <summary>A passport as it is stored; it was checked before.</summary>
    internal static Passport Parse(byte[] document, PublicKeys keys)
    {
        var reader = new Utf8JsonReader(document);
        reader.Read();
        return Passport.Read(ref reader, keys);
    }
}
