-- The accept statement as 0014 has it, with two things that its caller knows (ADR 0028). An id that the node has just made itself is nobody else's, so it
-- is inserted without the look for a repeat first, which costs a third of the insertion. And whether a message may hold references is found out in the Api,
-- a hundred times faster than here. In place of the old signature: the last release's call finds this one by its defaults.

-- False: the bytes name no references, so the index of references need not look into them.
alter table messages add column refers boolean not null default true;

drop function accept_batch(bigint[], uuid[], bytea[], bigint[], bigint[], smallint[], smallint[], smallint[], boolean[], timestamptz[], timestamptz[], text[],
    bytea[], bigint[], bigint[], integer[], bigint[], integer[], integer[], bigint[], bigint[], smallint[], timestamptz[], bigint[], bigint[], boolean[],
    timestamptz, uuid, bigint, bytea, bytea);
create function accept_batch(
    p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[],
    f_swarm bigint[], f_version bigint[],
    d_ord integer[], d_recipient bigint[], d_slot integer[], d_rank integer[], d_sender bigint[], d_swarm bigint[], d_priority smallint[],
    d_expires_at timestamptz[], r_recipient bigint[], r_count bigint[],
    p_outgoing boolean[], p_now timestamptz, p_writer uuid, p_entry bigint, p_previous bytea, p_root bytea,
    p_minted boolean default false, p_refers boolean[] default null,
    out status smallint[], out seq bigint[], out before bigint[], out recipients integer[], out audit_hash bytea)
language plpgsql
-- The rows of mailboxes are to be locked in the order of the recipients that drive the join.
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_base    bigint := next_message_no();
    v_count   integer := cardinality(p_sender);
    v_rows    bigint;
    v_root    bytea := p_root;
    v_behind  bigint[];         -- senders whose expansions come first
begin
    -- Shared with other batches, exclusive with whoever changes a swarm (lock_swarm); the next statement then reads current versions.
    perform pg_advisory_xact_lock_shared(swarm_lock(k)) from unnest(f_swarm) k;
    select count(*) into v_rows
    from unnest(f_swarm, f_version) f (swarm, version) join swarms s on s.swarm_no = f.swarm and s.version = f.version;

    select array_agg(distinct e.sender_no) into v_behind
    from expansions e where e.sender_no = any (p_sender) and (not e.scheduled or e.done > 0 or e.due_at <= p_now);

    if v_rows < cardinality(f_swarm) or v_behind is not null then
        insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
        select u.sender, u.id, u.fingerprint, v_base + u.o - 1, p_now
        from unnest(p_sender, p_id, p_fingerprint, p_swarm, p_version) with ordinality u (sender, id, fingerprint, swarm, version, o)
        left join swarms s on s.swarm_no = u.swarm
        where (u.swarm is null or s.version = u.version) and (v_behind is null or not u.sender = any (v_behind))
        order by u.sender, u.id, u.o
        on conflict do nothing;
        get diagnostics v_rows = row_count;
    elsif p_minted then
        insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
        select unnest(p_sender), unnest(p_id), unnest(p_fingerprint), generate_series(v_base, v_base + v_count - 1), p_now;
        v_rows := v_count;
    else
        insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
        select u.sender, u.id, u.fingerprint, u.no, p_now
        from (select unnest(p_sender) as sender, unnest(p_id) as id, unnest(p_fingerprint) as fingerprint,
                     generate_series(v_base, v_base + v_count - 1) as no) u
        order by u.sender, u.id, u.no
        on conflict do nothing;
        get diagnostics v_rows = row_count;
    end if;

    if v_rows = v_count then
        -- The common case: every fence holds and everything is new.
        insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                              sent_at, accepted_at, expires_at, trace, wire, outgoing, refers)
        select generate_series(v_base, v_base + v_count - 1), unnest(p_sender), unnest(p_swarm), unnest(p_id), unnest(p_protocol), unnest(p_kind),
               unnest(p_priority), unnest(p_verified), unnest(p_sent_at), p_now, unnest(p_expires_at), unnest(p_trace), unnest(p_wire), unnest(p_outgoing),
               unnest(coalesce(p_refers, array_fill(true, array[v_count])));

        with raised as (
            update mailboxes b set last_seq = b.last_seq + r.n
            from unnest(r_recipient, r_count) r (recipient, n)
            where b.recipient_no = r.recipient
            returning b.recipient_no, b.last_seq - r.n as before
        )
        select array_agg(r.before order by r.recipient_no) into before from raised r;

        insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, expires_at)
        select v_base + unnest(d_ord) - 1, unnest(d_recipient), before[unnest(d_slot)] + unnest(d_rank), unnest(d_sender), unnest(d_swarm),
               unnest(d_priority), unnest(d_expires_at);
    else
        select a.status, a.seq, a.recipients, a.root into status, seq, recipients, v_root
        from accept_rest(v_base, p_sender, p_id, p_fingerprint, p_swarm, p_version, p_protocol, p_kind, p_priority, p_verified,
                          p_sent_at, p_expires_at, p_trace, p_wire, p_outgoing, d_ord, d_recipient, p_now) a;
    end if;

    audit_hash := sha256(p_previous || v_root || int8send(p_entry));
    insert into audit_entries (writer_id, entry_no, at, kind, root, messages, recipients, previous, hash)
    values (p_writer, p_entry, p_now, 1, v_root, v_rows, r_recipient, p_previous, audit_hash);
end
$$;

-- Batches of twice the size, so that half as many commits wait for the disk; numbers come in blocks of that size.
alter sequence message_no_blocks increment by 1024;
create or replace function newest_message_no() returns bigint language sql volatile
return (select (message_day(clock_timestamp()) << 40) + last_value + case when is_called then 1023 else -1 end from message_no_blocks);
