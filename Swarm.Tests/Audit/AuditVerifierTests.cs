using System.Net;
using Swarm.Core.Audit;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Audit;

/// <summary>The hash chains say whether anything was changed or removed (design §5).</summary>
[Collection(PostgresCollection.Name)]
public sealed class AuditVerifierTests(PostgresFixture postgres)
{
    [Fact]
    public async Task Untouched_chains_verify_and_every_way_of_tampering_is_found()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        await using var replica = await node.StartReplicaAsync();
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], ["eve", "frank"]);
        await Task.WhenAll(Enumerable.Range(0, 60).Select(async n =>
        {
            var host = n % 2 == 0 ? node : replica;
            var wire = scene.Signed(n % 3 == 0 ? "eve" : "frank", "bob", $"{n}");
            Assert.Equal(HttpStatusCode.OK, (await host.Http.PostMessageAsync("bob", wire)).Status);
            Assert.Equal(HttpStatusCode.OK, (await host.Http.PostMessageAsync("bob", wire)).Status);
        }));

        var verifier = node.Get<AuditVerifier>();
        var clean = await verifier.VerifyAsync([], default);
        Assert.Null(clean.FirstBreak);
        Assert.True(clean.Chains >= 3, $"{clean.Chains} chains");
        Assert.Equal(await node.ScalarAsync<long>("select count(*) from audit_entries"), clean.Entries);
        Assert.Equal(0, clean.BatchesNotKept);
        var exported = await verifier.ExportHeadsAsync(default);
        Assert.Equal(clean.Chains, exported.Count);
        Assert.Null((await verifier.VerifyAsync(exported, default)).FirstBreak);

        await node.ExecuteAsync("create table audit_copy as table audit_entries; create table ids_copy as table message_ids");
        const string SomeDecision =
            "(writer_id, entry_no) = (select writer_id, entry_no from audit_entries where kind = 2 order by writer_id, entry_no offset 1 limit 1)";
        const string SomeBatch = "(writer_id, entry_no) = (select writer_id, entry_no from audit_entries where kind = 1 and messages > 0 limit 1)";
        const string Tails = "(writer_id, entry_no) in (select writer_id, max(entry_no) from audit_entries group by writer_id)";
        const string WithId = "message_id = (select message_id from message_ids order by message_no limit 1)";

        await FindsAsync($"update audit_entries set detail = detail || '!' where {SomeDecision}", [], "Its text was changed.");
        await FindsAsync($"update audit_entries set root = sha256('x') where {SomeBatch}", [], "Its hash is not that of its content.");
        await FindsAsync($"update audit_entries set hash = sha256('x') where {SomeDecision}", [], "Its hash is not that of its content.");
        await FindsAsync($"delete from audit_entries where {SomeDecision}", [], "Entry 2 is missing.");
        await FindsAsync($"update message_ids set fingerprint = sha256('x') where {WithId}", [], "were changed or removed.");
        await FindsAsync($"delete from message_ids where {WithId}", [], "were changed or removed.");

        // A cut-off tail looks whole; only a head that was kept elsewhere tells.
        await node.ExecuteAsync($"delete from audit_entries where {Tails}");
        Assert.Null((await verifier.VerifyAsync([], default)).FirstBreak);
        await RestoreAsync();
        await FindsAsync($"delete from audit_entries where {Tails}", exported, "cut off before this entry");
        await FindsAsync("delete from audit_entries where writer_id = (select writer_id from audit_entries limit 1)", exported, "cut off before this entry");

        // A chain that was computed anew from its start is whole as well, but not the one that was exported.
        await FindsAsync(
            $"""
            update audit_entries set detail = 'nothing happened', root = sha256('nothing happened') where {SomeDecision};
            with recursive chain as (
                select e.writer_id, e.entry_no, '\x{new string('0', 64)}'::bytea as previous,
                       sha256('\x{new string('0', 64)}'::bytea || e.root || int8send(e.entry_no)) as hash
                from audit_entries e where e.entry_no = 1
                union all
                select e.writer_id, e.entry_no, c.hash, sha256(c.hash || e.root || int8send(e.entry_no))
                from audit_entries e join chain c on c.writer_id = e.writer_id and e.entry_no = c.entry_no + 1)
            update audit_entries e set previous = c.previous, hash = c.hash from chain c where c.writer_id = e.writer_id and c.entry_no = e.entry_no
            """,
            exported,
            "It is not the entry that was exported.");
        Assert.Null((await verifier.VerifyAsync(exported, default)).FirstBreak);

        async Task FindsAsync(string tampering, IReadOnlyList<AuditHead> heads, string reason)
        {
            await node.ExecuteAsync(tampering);
            var broken = (await verifier.VerifyAsync(heads, default)).FirstBreak;
            Assert.Contains(reason, broken?.Reason ?? "nothing found", StringComparison.Ordinal);
            await RestoreAsync();
        }

        Task RestoreAsync() => node.ExecuteAsync(
            """
            truncate audit_entries, message_ids;
            insert into audit_entries select * from audit_copy;
            insert into message_ids select * from ids_copy;
            """);
    }
}
