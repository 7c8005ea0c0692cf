-- Delivery (design §3, §4): partitions by week, expansions (large broadcasts, scheduled messages), leases over many recipients in
-- one statement, dead letters. The accept statement of the first release goes on working beside this one.

-- A message number carries the day of its accept in the bits above 2^40 (days since 2025-01-01), so a range of numbers is a range of time.
create function message_day(at timestamptz) returns bigint language sql immutable
return extract(epoch from at)::bigint / 86400 - 20089;

create function next_message_no() returns bigint language sql volatile
return (message_day(clock_timestamp()) << 40) + nextval('message_no_blocks');

alter table messages rename to messages_w0000;
alter index messages_pkey rename to messages_w0000_pkey;
drop index messages_by_sender;
-- True for what entered through our own API: only that belongs into an outbox.
alter table messages_w0000 add column outgoing boolean not null default true;
create table messages (
    message_no  bigint primary key,
    sender_no   bigint not null,
    swarm_no    bigint,
    message_id  uuid not null,
    protocol    smallint not null,
    kind        smallint not null,
    priority    smallint not null,
    verified    boolean not null,
    sent_at     timestamptz not null,
    accepted_at timestamptz not null,
    expires_at  timestamptz,
    trace       text,
    wire        bytea not null,
    outgoing    boolean not null default true
) partition by range (message_no);
alter table messages alter column wire set storage external;
create index messages_outgoing on messages (sender_no, message_no) where outgoing;
alter table messages attach partition messages_w0000 for values from (minvalue) to (1::bigint << 40);

-- No index on deliveries may name a column that an acknowledgement changes, so that updates stay on their page (HOT).
alter table deliveries rename to deliveries_w0000;
alter index deliveries_pkey rename to deliveries_w0000_pkey;
alter index deliveries_by_recipient rename to deliveries_w0000_recipient_no_seq_idx;
drop index deliveries_expiring;
drop index deliveries_leased;
alter table deliveries_w0000 rename constraint deliveries_last_error_check to last_error_bytes;
alter table deliveries_w0000 add column archived_at timestamptz, add column deleted_at timestamptz;
update deliveries_w0000 set expires_at = null where expires_at is not null and state not in (0, 1);
create table deliveries (
    message_no   bigint not null,
    recipient_no bigint not null,
    seq          bigint not null,
    sender_no    bigint not null,
    swarm_no     bigint,
    priority     smallint not null,
    state        smallint not null default 0,
    attempts     smallint not null default 0,
    due_at       timestamptz,                         -- when the next try may start, after a failed one; lanes.held_until decides
    expires_at   timestamptz,                         -- null once it cannot expire any more
    lease_id     uuid,
    read_at      timestamptz,
    last_error   text constraint last_error_bytes check (octet_length(last_error) <= 1024),
    archived_at  timestamptz,
    deleted_at   timestamptz,
    primary key (message_no, recipient_no)
) partition by range (message_no);
create index deliveries_by_recipient on deliveries (recipient_no, seq);
create index deliveries_expiring on deliveries (expires_at) where expires_at is not null;
alter table deliveries attach partition deliveries_w0000 for values from (minvalue) to (1::bigint << 40);

-- The partitions of one week (weeks since 2025-01-01). Attached, not created in place, so that nobody waits.
create function make_partitions(p_week integer) returns boolean language plpgsql as $$
declare
    v_from bigint := (p_week::bigint * 7) << 40;
    v_to   bigint := ((p_week::bigint + 1) * 7) << 40;
    v_name text;
begin
    if to_regclass(format('deliveries_w%s', lpad(p_week::text, 4, '0'))) is not null then
        return false;
    end if;
    foreach v_name in array array['messages', 'deliveries'] loop
        execute format('create table %I (like %I including all)', v_name || '_w' || lpad(p_week::text, 4, '0'), v_name);
        execute format('alter table %I set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.05)',
                       v_name || '_w' || lpad(p_week::text, 4, '0'));
        execute format('alter table %I attach partition %I for values from (%s) to (%s)', v_name, v_name || '_w' || lpad(p_week::text, 4, '0'), v_from, v_to);
    end loop;
    execute format('alter table %I set (fillfactor = 85)', 'deliveries_w' || lpad(p_week::text, 4, '0'));
    return true;
end
$$;

-- What no week holds (nobody made its partitions in time) goes here rather than nowhere.
create table messages_rest partition of messages default;
create table deliveries_rest partition of deliveries default;
select make_partitions((message_day(clock_timestamp()) / 7)::integer + n) from generate_series(0, 3) n;

-- Ids come in the order of time, so their pruning finds them by block.
create index message_ids_by_time on message_ids using brin (accepted_at) with (pages_per_range = 32);

-- Every delivery up to head is finished: the work queue and the push carriers look behind it. Apart from mailboxes, whose rows every accept locks.
create table queue_heads (
    recipient_no bigint primary key,
    head         bigint not null default 0
) with (fillfactor = 50);
insert into queue_heads select recipient_no, queue_head from mailboxes;
create index lanes_held on lanes (held_until) where held_until is not null;

-- A message whose deliveries are still to be made: above 256 recipients, scheduled, or behind such a one of the same sender.
create table expansions (
    message_no bigint primary key,
    sender_no  bigint not null,
    swarm_no   bigint,
    priority   smallint not null,
    scheduled  boolean not null,                      -- false: due at once, whatever the clocks of the replicas say
    due_at     timestamptz not null,                  -- orders the expansions of a sender
    expires_at timestamptz,
    recipients bigint[] not null,                     -- as the accept saw them; who is no member any more is skipped
    done       integer not null default 0             -- how many of them have been looked at
);
alter table expansions alter column recipients set storage external;
create index expansions_by_sender on expansions (sender_no);

create table delivery_attempts (
    message_no   bigint not null,
    recipient_no bigint not null,
    attempt      integer not null,
    at           timestamptz not null,
    error        text not null check (octet_length(error) <= 1024),
    primary key (message_no, recipient_no, attempt)
);

create table dead_letters (
    message_no   bigint not null,
    recipient_no bigint not null,
    sender_no    bigint not null,
    swarm_no     bigint,
    died_at      timestamptz not null,
    reason       text not null check (octet_length(reason) <= 1024),
    primary key (message_no, recipient_no)
);
create index dead_letters_by_time on dead_letters (died_at, message_no, recipient_no);

-- Leases the heads of free lanes of many recipients: ended leases go back, heads move up, lanes appear, are claimed, and their head
-- rows are leased (design §3 promise 4). Within a recipient the priorities share a page 9 : 3 : 1, so that none starves.
create function lease_deliveries(
    p_recipients bigint[], p_lease uuid, p_now timestamptz, p_until timestamptz, p_each integer, p_bytes bigint, p_scan integer)
returns table (recipient_no bigint, seq bigint, state smallint, accepted_at timestamptz, verified boolean, wire bytea,
               message_no bigint, sender_no bigint, swarm_no bigint, priority smallint, attempts smallint, protocol smallint,
               message_id uuid, trace text)
language plpgsql as $$
#variable_conflict use_column
begin
    if exists (select 1 from lanes where recipient_no = any (p_recipients) and leased_until <= p_now) then
        with ended as (
            update lanes set lease_id = null, leased_until = null
            where (recipient_no, sender_no, priority) in (
                select l.recipient_no, l.sender_no, l.priority from lanes l
                where l.recipient_no = any (p_recipients) and l.leased_until <= p_now
                order by l.recipient_no, l.sender_no, l.priority for update skip locked)
            returning recipient_no, sender_no, priority)
        update deliveries d set state = 0, lease_id = null, attempts = least(d.attempts + 1, 32767)
        from ended e left join queue_heads h on h.recipient_no = e.recipient_no
        where d.recipient_no = e.recipient_no and d.sender_no = e.sender_no and d.priority = e.priority and d.state = 1
          and d.seq > coalesce(h.head, 0);
    end if;

    insert into queue_heads as h (recipient_no, head)
    select f.recipient_no, f.head
    from (select m.recipient_no, coalesce(q.head, 0) as before, coalesce(
              (select d.seq - 1 from deliveries d
               where d.recipient_no = m.recipient_no and d.seq > coalesce(q.head, 0) and d.state in (0, 1) order by d.seq limit 1), m.last_seq) as head
          from mailboxes m left join queue_heads q on q.recipient_no = m.recipient_no
          where m.recipient_no = any (p_recipients)) f
    where f.head > f.before
    order by f.recipient_no
    on conflict (recipient_no) do update set head = greatest(h.head, excluded.head);

    insert into lanes (recipient_no, sender_no, priority)
    select distinct w.recipient_no, w.sender_no, w.priority
    from unnest(p_recipients) r (no)
    left join queue_heads h on h.recipient_no = r.no
    cross join lateral (
        select d.recipient_no, d.sender_no, d.priority from deliveries d
        where d.recipient_no = r.no and d.seq > coalesce(h.head, 0) and d.state = 0
        order by d.seq limit p_scan) w
    where not exists (select 1 from lanes l where l.recipient_no = w.recipient_no and l.sender_no = w.sender_no and l.priority = w.priority)
    order by 1, 2, 3
    on conflict do nothing;

    return query
    with free as materialized (
        select l.recipient_no, l.sender_no, l.priority from lanes l
        where l.recipient_no = any (p_recipients) and l.lease_id is null and (l.held_until is null or l.held_until <= p_now)
        order by l.recipient_no, l.sender_no, l.priority
        for update skip locked
    ), picked as materialized (
        select p.* from (
            select x.*, sum(octet_length(m.wire)) over (order by x.place, x.recipient_no, x.seq) - octet_length(m.wire) as bytes_before
            from (select distinct f.recipient_no from free f) r
            left join queue_heads h on h.recipient_no = r.recipient_no
            cross join lateral (
                select s.*, (s.rank - 1) / (array[1, 3, 9])[s.priority + 1] as place
                from (select w.message_no, w.recipient_no, w.seq, w.sender_no, w.priority,
                             row_number() over (partition by w.priority order by w.seq) as rank
                      from (select d.message_no, d.recipient_no, d.seq, d.sender_no, d.priority, d.expires_at from deliveries d
                            where d.recipient_no = r.recipient_no and d.seq > coalesce(h.head, 0) and d.state = 0
                            order by d.seq limit p_scan) w
                      join free f on f.recipient_no = w.recipient_no and f.sender_no = w.sender_no and f.priority = w.priority
                      where w.expires_at is null or w.expires_at > p_now) s
                order by place, s.priority desc, s.seq limit p_each) x
            join messages m on m.message_no = x.message_no) p
        where p.bytes_before < p_bytes
    ), claimed as (
        update lanes l set lease_id = p_lease, leased_until = p_until, held_until = null
        from (select distinct recipient_no, sender_no, priority from picked) p
        where l.recipient_no = p.recipient_no and l.sender_no = p.sender_no and l.priority = p.priority
    ), leased as (
        update deliveries d set state = 1, lease_id = p_lease from picked p
        where d.message_no = p.message_no and d.recipient_no = p.recipient_no and d.state = 0
        returning d.recipient_no, d.seq, d.state, d.message_no, d.sender_no, d.swarm_no, d.priority, d.attempts
    )
    select l.recipient_no, l.seq, l.state, m.accepted_at, m.verified, m.wire, l.message_no, l.sender_no, l.swarm_no, l.priority, l.attempts,
           m.protocol, m.message_id, m.trace
    from leased l join messages m on m.message_no = l.message_no
    order by l.recipient_no, l.seq;
end
$$;

-- Accepts one message whose deliveries are made later (expand_next). status as in accept_batch.
create function accept_later(
    p_sender bigint, p_id uuid, p_fingerprint bytea, p_swarm bigint, p_version bigint,
    p_protocol smallint, p_kind smallint, p_priority smallint, p_verified boolean, p_sent_at timestamptz, p_expires_at timestamptz,
    p_trace text, p_wire bytea, p_outgoing boolean, p_recipients bigint[], p_due_at timestamptz,      -- p_due_at null: at once
    p_now timestamptz, p_writer uuid, p_entry bigint, p_previous bytea, p_root bytea,
    out status smallint, out audit_hash bytea)
language plpgsql as $$
declare
    v_no       bigint := next_message_no();
    v_rows     bigint;
    v_root     bytea := p_root;
begin
    if p_swarm is not null then
        perform pg_advisory_xact_lock_shared(swarm_lock(p_swarm));
        if not exists (select 1 from swarms s where s.swarm_no = p_swarm and s.version = p_version) then
            status := 4;
        end if;
    end if;

    if status is null then
        insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
        values (p_sender, p_id, p_fingerprint, v_no, p_now) on conflict do nothing;
        get diagnostics v_rows = row_count;
        if v_rows = 0 then
            select case when fingerprint = p_fingerprint then 2 else 3 end into status
            from message_ids where sender_no = p_sender and message_id = p_id;
        else
            insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                                  sent_at, accepted_at, expires_at, trace, wire, outgoing)
            values (v_no, p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_now, p_expires_at, p_trace, p_wire, p_outgoing);
            insert into expansions (message_no, sender_no, swarm_no, priority, scheduled, due_at, expires_at, recipients)
            values (v_no, p_sender, p_swarm, p_priority, p_due_at is not null,
                    coalesce(p_due_at, greatest(p_now, (select max(o.due_at) from expansions o
                                                        where o.sender_no = p_sender and (not o.scheduled or o.due_at <= p_now)))),
                    p_expires_at, p_recipients);
            status := 1;
        end if;
    end if;

    if status <> 1 then
        v_root := sha256('');
    end if;
    audit_hash := sha256(p_previous || v_root || int8send(p_entry));
    insert into audit_entries (writer_id, entry_no, at, kind, root, messages, recipients, previous, hash)
    values (p_writer, p_entry, p_now, 1, v_root, (status = 1)::integer, '{}', p_previous, audit_hash);
end
$$;

-- Makes the next deliveries of one expansion that is due, oldest first within a sender, and takes its row away after the last.
-- Several may run at once. expanded is null when nothing is due. A chunk is audited (kind 3), so that a lost signal is noticed.
create function expand_next(
    p_chunk integer, p_now timestamptz, p_writer uuid, p_entry bigint, p_previous bytea,
    out expanded bigint, out recipients bigint[], out audit_hash bytea)
language plpgsql
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_row    expansions;
    v_detail text;
    v_root   bytea;
begin
    select e.* into v_row from expansions e
    where (not e.scheduled or e.due_at <= p_now)
      and not exists (
          select 1 from expansions o
          where o.sender_no = e.sender_no and o.message_no <> e.message_no
            and (o.done > 0 or (e.done = 0 and (o.due_at, o.message_no) < (e.due_at, e.message_no))))
    order by e.due_at, e.message_no limit 1
    for update skip locked;
    if v_row.message_no is null then
        return;
    end if;

    expanded := v_row.message_no;
    if v_row.swarm_no is not null then
        perform pg_advisory_xact_lock_shared(swarm_lock(v_row.swarm_no));
    end if;

    select array_agg(u.no order by u.no) into recipients
    from unnest(v_row.recipients[v_row.done + 1 : v_row.done + p_chunk]) u (no)
    where (v_row.expires_at is null or v_row.expires_at > p_now)
      and (v_row.swarm_no is null or exists (select 1 from members m where m.swarm_no = v_row.swarm_no and m.agent_no = u.no));
    recipients := coalesce(recipients, '{}');

    with raised as (
        update mailboxes b set last_seq = b.last_seq + 1
        from (select u.no from unnest(recipients) u (no) order by u.no) r
        where b.recipient_no = r.no
        returning b.recipient_no, b.last_seq
    )
    insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, expires_at)
    select v_row.message_no, r.recipient_no, r.last_seq, v_row.sender_no, v_row.swarm_no, v_row.priority, v_row.expires_at from raised r;

    if v_row.done + p_chunk >= cardinality(v_row.recipients) then
        delete from expansions where message_no = v_row.message_no;
    else
        update expansions set done = v_row.done + p_chunk where message_no = v_row.message_no;
    end if;

    v_detail := format('{"message_no":%s,"from":%s,"recipients":%s}', v_row.message_no, v_row.done, cardinality(recipients));
    v_root := sha256(convert_to(v_detail, 'UTF8'));
    audit_hash := sha256(p_previous || v_root || int8send(p_entry));
    insert into audit_entries (writer_id, entry_no, at, kind, root, messages, detail, recipients, previous, hash)
    values (p_writer, p_entry, p_now, 3, v_root, 0, v_detail, recipients, p_previous, audit_hash);
end
$$;

-- The accept statement (design §3, group commit): one call, one implicit transaction, one round trip.
-- Each statement of the body takes a fresh snapshot, so what another replica committed while we waited for a lock is seen.
-- Locks are taken in one order everywhere: swarms by number, message ids sorted, mailboxes by recipient. The caller passes what it
-- can count itself: fences (distinct swarm and version, by swarm), deliveries with the members of their message, distinct recipients, sorted, with how many
-- deliveries they get, for each delivery its recipient's place among these and its rank among that recipient's, and the audit root for the case that everything is new.
-- status by ordinal: 1 accepted, 2 duplicate, 3 id reused for another message, 4 the swarm changed since the authority check, 8 the sender has
-- an expansion that is not finished, so that this message must queue behind it (accept_later); null instead of an array: all accepted, and then before holds each recipient's counter as it was.
create function accept_batch(
    p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[],
    f_swarm bigint[], f_version bigint[],
    d_ord integer[], d_recipient bigint[], d_slot integer[], d_rank integer[], d_sender bigint[], d_swarm bigint[], d_priority smallint[],
    d_expires_at timestamptz[], r_recipient bigint[], r_count bigint[],
    p_outgoing boolean[], p_now timestamptz, p_writer uuid, p_entry bigint, p_previous bytea, p_root bytea,
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

    if v_rows = cardinality(f_swarm) and v_behind is null then
        insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
        select u.sender, u.id, u.fingerprint, v_base + u.o - 1, p_now
        from unnest(p_sender, p_id, p_fingerprint) with ordinality u (sender, id, fingerprint, o)
        order by u.sender, u.id, u.o
        on conflict do nothing;
        get diagnostics v_rows = row_count;
    else
        insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
        select u.sender, u.id, u.fingerprint, v_base + u.o - 1, p_now
        from unnest(p_sender, p_id, p_fingerprint, p_swarm, p_version) with ordinality u (sender, id, fingerprint, swarm, version, o)
        left join swarms s on s.swarm_no = u.swarm
        where (u.swarm is null or s.version = u.version) and (v_behind is null or not u.sender = any (v_behind))
        order by u.sender, u.id, u.o
        on conflict do nothing;
        get diagnostics v_rows = row_count;
    end if;

    if v_rows = v_count then
        -- The common case: every fence holds and everything is new.
        insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                              sent_at, accepted_at, expires_at, trace, wire, outgoing)
        select v_base + u.o - 1, u.sender, u.swarm, u.id, u.protocol, u.kind, u.priority, u.verified,
               u.sent_at, p_now, u.expires_at, u.trace, u.wire, u.outgoing
        from unnest(p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_expires_at, p_trace, p_wire, p_outgoing)
             with ordinality u (sender, swarm, id, protocol, kind, priority, verified, sent_at, expires_at, trace, wire, outgoing, o);

        with raised as (
            update mailboxes b set last_seq = b.last_seq + r.n
            from unnest(r_recipient, r_count) r (recipient, n)
            where b.recipient_no = r.recipient
            returning b.recipient_no, b.last_seq - r.n as before
        )
        select array_agg(r.before order by r.recipient_no) into before from raised r;

        insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, expires_at)
        select v_base + d.o - 1, d.recipient, before[d.slot] + d.rank, d.sender, d.swarm, d.priority, d.expires_at
        from unnest(d_ord, d_recipient, d_slot, d_rank, d_sender, d_swarm, d_priority, d_expires_at)
             d (o, recipient, slot, rank, sender, swarm, priority, expires_at);
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

-- The rest of a batch in which something is not new or not current; the ids that are new have just been inserted.
create function accept_rest(
    p_base bigint, p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[], p_outgoing boolean[],
    d_ord integer[], d_recipient bigint[], p_now timestamptz,
    out status smallint[], out seq bigint[], out recipients integer[], out root bytea)
language plpgsql as $$
#variable_conflict use_column
declare
    v_no      bigint[];         -- message_no by ordinal; null where nothing may be delivered
    v_status  smallint[];
begin
    -- A statement of its own, so that an id which another replica committed meanwhile is seen. What carries our own number has won.
    select array_agg(case when m.message_no = p_base + u.o - 1 then m.message_no
                          when (u.swarm is null or s.version = u.version) and m.fingerprint = u.fingerprint then m.message_no end order by u.o),
           array_agg((case when m.message_no = p_base + u.o - 1 then 1
                           when u.swarm is not null and s.version is distinct from u.version then 4
                           when m.message_no is null then 8
                           when m.fingerprint = u.fingerprint then 2
                           else 3 end)::smallint order by u.o)
    into v_no, v_status
    from unnest(p_sender, p_id, p_fingerprint, p_swarm, p_version) with ordinality u (sender, id, fingerprint, swarm, version, o)
    left join swarms s on s.swarm_no = u.swarm
    left join message_ids m on m.sender_no = u.sender and m.message_id = u.id;

    insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                          sent_at, accepted_at, expires_at, trace, wire, outgoing)
    select p_base + u.o - 1, u.sender, u.swarm, u.id, u.protocol, u.kind, u.priority, u.verified,
           u.sent_at, p_now, u.expires_at, u.trace, u.wire, u.outgoing
    from unnest(p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_expires_at, p_trace, p_wire, p_outgoing)
         with ordinality u (sender, swarm, id, protocol, kind, priority, verified, sent_at, expires_at, trace, wire, outgoing, o)
    join unnest(v_status) with ordinality t (status, o) on t.o = u.o
    where t.status = 1;

    perform 1 from mailboxes b
    where b.recipient_no = any (array(select d.recipient from unnest(d_ord, d_recipient) d (o, recipient) where v_no[d.o] is not null))
    order by b.recipient_no for no key update;

    with wanted as materialized (
        select d.o, d.recipient, v_no[d.o] as no
        from unnest(d_ord, d_recipient) d (o, recipient)
        where v_no[d.o] is not null
    ), existing as materialized (
        select w.o, w.recipient, e.seq
        from wanted w join deliveries e on e.message_no = w.no and e.recipient_no = w.recipient
        where v_status[w.o] = 2
    ), fresh as (
        select distinct on (w.no, w.recipient) w.o, w.recipient, w.no
        from wanted w left join existing x on x.o = w.o and x.recipient = w.recipient
        where x.o is null
        order by w.no, w.recipient, w.o
    ), numbered as materialized (
        select f.o, f.recipient, f.no, b.last_seq + row_number() over (partition by f.recipient order by f.o) as seq
        from fresh f join mailboxes b on b.recipient_no = f.recipient
    ), inserted as (
        -- Of a message that is known already, priority and expiry are those of the copy that is kept.
        insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, expires_at)
        select n.no, n.recipient, n.seq, m.sender_no, m.swarm_no, m.priority, m.expires_at
        from numbered n join messages m on m.message_no = n.no
    ), raised as (
        update mailboxes b set last_seq = r.last
        from (select recipient, max(seq) as last from numbered group by recipient) r
        where b.recipient_no = r.recipient
    ), per_message as (
        select o, min(seq) as seq, count(*)::integer as recipients from numbered group by o
    ), before as (
        select o, min(seq) as seq from existing group by o
    )
    select -- Posted to another agent's door, a known message is news there.
           array_agg((case when v_status[g.o] = 2 and p.recipients > 0 then 1 else v_status[g.o] end)::smallint order by g.o),
           array_agg(coalesce(p.seq, x.seq, 0) order by g.o),
           array_agg(coalesce(p.recipients, 0) order by g.o)
    into status, seq, recipients
    from generate_series(1, cardinality(p_sender)) g (o)
    left join per_message p on p.o = g.o
    left join before x on x.o = g.o;

    select sha256(coalesce(string_agg(uuid_send(u.id) || u.fingerprint, ''::bytea order by u.o), ''::bytea)) into root
    from unnest(p_id, p_fingerprint) with ordinality u (id, fingerprint, o)
    join unnest(v_status) with ordinality t (status, o) on t.o = u.o
    where t.status = 1;
end
$$;

-- The first release's accept statement, for its replicas that still run beside this release: it lacks the places and ranks.
drop function accept_mixed;
create or replace function accept_messages(
    p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[],
    f_swarm bigint[], f_version bigint[],
    d_ord integer[], d_recipient bigint[], d_sender bigint[], d_swarm bigint[], d_priority smallint[], d_expires_at timestamptz[],
    r_recipient bigint[], r_count bigint[],
    p_now timestamptz, p_writer uuid, p_entry bigint, p_previous bytea, p_root bytea,
    out status smallint[], out seq bigint[], out recipients integer[], out audit_hash bytea)
language plpgsql as $$
declare
    v_slot   integer[];
    v_rank   integer[];
    v_before bigint[];
begin
    select array_agg(array_position(r_recipient, d.recipient) order by d.n), array_agg(d.rank order by d.n) into v_slot, v_rank
    from (select u.recipient, u.n, row_number() over (partition by u.recipient order by u.n)::integer as rank
          from unnest(d_recipient) with ordinality u (recipient, n)) d;

    select a.status, a.seq, a.before, a.recipients, a.audit_hash into status, seq, v_before, recipients, audit_hash
    from accept_batch(
        p_sender, p_id, p_fingerprint, p_swarm, p_version, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_expires_at, p_trace, p_wire,
        f_swarm, f_version, d_ord, d_recipient, v_slot, v_rank, d_sender, d_swarm, d_priority, d_expires_at, r_recipient, r_count,
        array_fill(true, array[cardinality(p_sender)]), p_now, p_writer, p_entry, p_previous, p_root) a;

    if status is null then
        select array_agg(m.seq order by m.o) into seq
        from (select d.o, min(v_before[d.slot] + d.rank) as seq from unnest(d_ord, v_slot, v_rank) d (o, slot, rank) group by d.o) m;
    end if;
end
$$;
