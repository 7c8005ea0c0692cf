-- Pushes to remote peers, settled in batches, and dead letters of every kind of delivery (design §3).

create index agents_remote on agents (agent_no) where kind = 3;

-- Ended leases go back. Only the first delivery of each lane counts as tried: what waited behind it was not the consumer's trouble. In a
-- work queue it is dead after p_attempts_max tries; pushes have their own ceilings (settle_deliveries). Returns how many lanes ended.
create function end_leases(p_recipients bigint[], p_now timestamptz, p_attempts_max integer) returns integer language plpgsql
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_ended integer := 0;
begin
    if exists (select 1 from lanes where recipient_no = any (p_recipients) and leased_until <= p_now) then
        with ended as (
            update lanes set lease_id = null, leased_until = null
            where (recipient_no, sender_no, priority) in (
                select l.recipient_no, l.sender_no, l.priority from lanes l
                where l.recipient_no = any (p_recipients) and l.leased_until <= p_now
                order by l.recipient_no, l.sender_no, l.priority for update skip locked)
            returning recipient_no, sender_no, priority
        ), rows as (
            select d.message_no, d.recipient_no, d.sender_no, d.swarm_no, d.attempts + 1 as attempt,
                   row_number() over (partition by d.recipient_no, d.sender_no, d.priority order by d.seq) = 1 as tried,
                   a.kind <> 3 and d.attempts + 1 >= p_attempts_max as spent
            from ended e
            join agents a on a.agent_no = e.recipient_no
            left join queue_heads h on h.recipient_no = e.recipient_no
            join deliveries d on d.recipient_no = e.recipient_no and d.sender_no = e.sender_no and d.priority = e.priority
                             and d.state = 1 and d.seq > coalesce(h.head, 0)
        ), back as (
            update deliveries d
            set state = case when r.tried and r.spent then 7 else 0 end, lease_id = null,
                attempts = case when r.tried then least(r.attempt, 32767) else d.attempts end,
                last_error = case when r.tried then 'The lease ran out.' else d.last_error end
            from rows r where d.message_no = r.message_no and d.recipient_no = r.recipient_no and d.state = 1
            returning d.message_no, d.recipient_no
        ), noted as (
            insert into delivery_attempts (message_no, recipient_no, attempt, at, error)
            select r.message_no, r.recipient_no, r.attempt, p_now, 'The lease ran out.' from rows r where r.tried
            on conflict do nothing
        ), buried as (
            insert into dead_letters (message_no, recipient_no, sender_no, swarm_no, died_at, reason)
            select r.message_no, r.recipient_no, r.sender_no, r.swarm_no, p_now, 'The lease ran out ' || r.attempt || ' times.'
            from rows r join back b on b.message_no = r.message_no and b.recipient_no = r.recipient_no
            where r.tried and r.spent
            on conflict do nothing
        )
        select count(*) into v_ended from ended;
    end if;
    return v_ended;
end
$$;

-- Leases the heads of free lanes of many recipients: ended leases go back, heads move up, lanes appear, are claimed, and their head
-- rows are leased (design §3 promise 4). Within a recipient the priorities share a page 9 : 3 : 1, so that none starves.
-- As in 0002, but: a spent delivery dies; a requeued one cannot be jumped by a head that moves up meanwhile; and only the lanes that are
-- taken get locked, not every lane that the recipients ever had.
drop function lease_deliveries(bigint[], uuid, timestamptz, timestamptz, integer, bigint, integer);
create function lease_deliveries(
    p_recipients bigint[], p_lease uuid, p_now timestamptz, p_until timestamptz, p_each integer, p_bytes bigint, p_scan integer,
    p_attempts_max integer default 20)
returns table (recipient_no bigint, seq bigint, state smallint, accepted_at timestamptz, verified boolean, wire bytea,
               message_no bigint, sender_no bigint, swarm_no bigint, priority smallint, attempts smallint, protocol smallint,
               message_id uuid, trace text)
language plpgsql
-- Estimates over all partitions are large; the rows are few. Compiling such a statement costs a second, and while a table has no statistics
-- (a new week, a new node) the planner would rather read all of it in order than look up a few rows: hence also the fences (offset 0).
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_heads bigint[];       -- recipients whose heads are ours to move
begin
    perform end_leases(p_recipients, p_now, p_attempts_max);

    insert into queue_heads (recipient_no)
    select r.no from unnest(p_recipients) r (no)
    where not exists (select 1 from queue_heads h where h.recipient_no = r.no) order by r.no
    on conflict do nothing;

    -- A head moves up under its lock, by a snapshot that is younger than the lock (requeue_dead_letters lowers it under the same).
    select array_agg(f.recipient_no) into v_heads
    from (select h.recipient_no from queue_heads h
          where h.recipient_no = any (p_recipients)
            and not exists (select 1 from deliveries d where d.recipient_no = h.recipient_no and d.seq = h.head + 1 and d.state in (0, 1))
          order by h.recipient_no for no key update skip locked) f;
    if v_heads is not null then
        update queue_heads h set head = f.head
        from (select m.recipient_no, coalesce(
                  (select d.seq - 1 from deliveries d
                   where d.recipient_no = m.recipient_no and d.seq > q.head and d.state in (0, 1) order by d.seq limit 1), m.last_seq) as head
              from mailboxes m join queue_heads q on q.recipient_no = m.recipient_no
              where m.recipient_no = any (v_heads)) f
        where h.recipient_no = f.recipient_no and h.head < f.head;
    end if;

    insert into lanes (recipient_no, sender_no, priority)
    select distinct w.recipient_no, w.sender_no, w.priority
    from unnest(p_recipients) r (no)
    join queue_heads h on h.recipient_no = r.no
    cross join lateral (
        select d.recipient_no, d.sender_no, d.priority from deliveries d
        where d.recipient_no = r.no and d.seq > h.head and d.state = 0
        order by d.seq limit p_scan) w
    where not exists (select 1 from lanes l where l.recipient_no = w.recipient_no and l.sender_no = w.sender_no and l.priority = w.priority)
    order by 1, 2, 3
    on conflict do nothing;

    return query
    with picked as materialized (
        select p.* from (
            select x.*, sum(m.bytes) over (order by x.place, x.recipient_no, x.seq) - m.bytes as bytes_before
            from unnest(p_recipients) r (no)
            join queue_heads h on h.recipient_no = r.no
            cross join lateral (
                select s.*, (s.rank - 1) / (array[1, 3, 9])[s.priority + 1] as place
                from (select w.message_no, w.recipient_no, w.seq, w.sender_no, w.priority,
                             row_number() over (partition by w.priority order by w.seq) as rank
                      from (select d.message_no, d.recipient_no, d.seq, d.sender_no, d.priority, d.expires_at from deliveries d
                            where d.recipient_no = r.no and d.seq > h.head and d.state = 0
                            order by d.seq limit p_scan) w
                      join lanes f on f.recipient_no = w.recipient_no and f.sender_no = w.sender_no and f.priority = w.priority
                                  and f.lease_id is null and (f.held_until is null or f.held_until <= p_now)
                      where w.expires_at is null or w.expires_at > p_now) s
                order by place, s.priority desc, s.seq limit p_each) x
            cross join lateral (select octet_length(y.wire) as bytes from messages y where y.message_no = x.message_no offset 0) m) p
        where p.bytes_before < p_bytes
    ), free as materialized (
        select l.recipient_no, l.sender_no, l.priority
        from (select distinct k.recipient_no, k.sender_no, k.priority from picked k) k
        join lanes l on l.recipient_no = k.recipient_no and l.sender_no = k.sender_no and l.priority = k.priority
        where l.lease_id is null and (l.held_until is null or l.held_until <= p_now)
        order by l.recipient_no, l.sender_no, l.priority
        for update of l skip locked
    ), claimed as (
        update lanes l set lease_id = p_lease, leased_until = p_until, held_until = null
        from free f
        where l.recipient_no = f.recipient_no and l.sender_no = f.sender_no and l.priority = f.priority
    ), leased as (
        update deliveries d set state = 1, lease_id = p_lease
        from picked p
        where d.message_no = p.message_no and d.recipient_no = p.recipient_no and d.state = 0
          -- "is true" keeps it a hashed look-up: as a join it would be a nested loop, because estimates of CTEs are small
          and ((p.recipient_no, p.sender_no, p.priority) in (select f.recipient_no, f.sender_no, f.priority from free f)) is true
        returning d.recipient_no, d.seq, d.state, d.message_no, d.sender_no, d.swarm_no, d.priority, d.attempts
    )
    select l.recipient_no, l.seq, l.state, m.accepted_at, m.verified, m.wire, l.message_no, l.sender_no, l.swarm_no, l.priority, l.attempts,
           m.protocol, m.message_id, m.trace
    from leased l cross join lateral (select y.* from messages y where y.message_no = l.message_no offset 0) m
    order by l.recipient_no, l.seq;
end
$$;

-- The same for pushes, with what a push needs to know. refused_since: the first time that the peer said 401, 403 or 404.
create function lease_pushes(
    p_recipients bigint[], p_lease uuid, p_now timestamptz, p_until timestamptz, p_each integer, p_bytes bigint, p_scan integer)
returns table (message_no bigint, recipient_no bigint, sender_no bigint, priority smallint, attempts smallint, protocol smallint, wire bytea,
               trace text, sent_at timestamptz, expires_at timestamptz, endpoint text, sender text, refused_since timestamptz)
language plpgsql
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_message   bigint[];
    v_recipient bigint[];
begin
    -- A statement of its own: one that began before the lease would not see the newest messages that the lease took.
    select array_agg(l.message_no), array_agg(l.recipient_no) into v_message, v_recipient
    from lease_deliveries(p_recipients, p_lease, p_now, p_until, p_each, p_bytes, p_scan) l;

    return query
    select d.message_no, d.recipient_no, d.sender_no, d.priority, d.attempts, m.protocol, m.wire, m.trace, m.sent_at, m.expires_at,
           coalesce(r.endpoint, a.endpoint), coalesce(s.name, b.name, ''),
           case when d.attempts > 0 then (
               select min(t.at) from delivery_attempts t
               where t.message_no = d.message_no and t.recipient_no = d.recipient_no and t.error ~ '^HTTP (3..|401|403|404)\M') end
    from unnest(v_message, v_recipient) with ordinality l (message, recipient, place)
    -- Fenced by offset 0: without statistics the planner would rather read all deliveries in the order that is asked for.
    cross join lateral (select x.* from deliveries x where x.message_no = l.message and x.recipient_no = l.recipient offset 0) d
    cross join lateral (select x.* from messages x where x.message_no = l.message offset 0) m
    join agents a on a.agent_no = d.recipient_no
    left join members r on r.swarm_no = d.swarm_no and r.agent_no = d.recipient_no
    left join members s on s.swarm_no = d.swarm_no and s.agent_no = d.sender_no
    left join agents b on b.agent_no = d.sender_no
    order by l.place;
end
$$;

-- What became of leased deliveries, many lanes at once. p_outcome: 1 delivered, 2 to be tried again, 3 dead, 4 given back untried. p_last
-- ends the lease of its lane, which is then held until p_until. Rows whose lease has ended meanwhile are left alone (stale).
create function settle_deliveries(
    p_message bigint[], p_recipient bigint[], p_sender bigint[], p_priority smallint[], p_lease uuid[], p_outcome smallint[],
    p_until timestamptz[], p_last boolean[], p_error text[], p_now timestamptz, p_attempts_kept integer,
    out delivered integer, out retried integer, out dead integer, out stale integer)
language plpgsql
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_back integer := 0;
begin
    -- Lanes first, in order, like everybody who ends leases.
    perform 1 from lanes l
    where (l.recipient_no, l.sender_no, l.priority) in (select u.r, u.s, u.p from unnest(p_recipient, p_sender, p_priority) u (r, s, p))
    order by l.recipient_no, l.sender_no, l.priority for no key update;

    update deliveries d set state = 2, lease_id = null
    from unnest(p_message, p_recipient, p_lease, p_outcome) u (message, recipient, lease, outcome)
    where u.outcome = 1 and d.message_no = u.message and d.recipient_no = u.recipient and d.lease_id = u.lease;
    get diagnostics delivered = row_count;

    retried := 0;
    dead := 0;
    if 2 = any (p_outcome) or 3 = any (p_outcome) then
        with tried as (
            update deliveries d
            set state = case u.outcome when 2 then 0 else 7 end, lease_id = null, attempts = least(d.attempts + 1, 32767),
                last_error = u.error, due_at = u.until
            from unnest(p_message, p_recipient, p_lease, p_outcome, p_until, p_error) u (message, recipient, lease, outcome, until, error)
            where u.outcome in (2, 3) and d.message_no = u.message and d.recipient_no = u.recipient and d.lease_id = u.lease
            returning d.message_no, d.recipient_no, d.sender_no, d.swarm_no, d.attempts, d.last_error, d.state
        ), noted as (
            insert into delivery_attempts as a (message_no, recipient_no, attempt, at, error)
            select t.message_no, t.recipient_no, t.attempts, p_now, t.last_error from tried t
            on conflict (message_no, recipient_no, attempt) do update set at = excluded.at, error = excluded.error
        ), forgotten as (
            -- The first one stays: it says since when.
            delete from delivery_attempts a using tried t
            where a.message_no = t.message_no and a.recipient_no = t.recipient_no and a.attempt = t.attempts - p_attempts_kept and a.attempt > 1
        ), buried as (
            insert into dead_letters (message_no, recipient_no, sender_no, swarm_no, died_at, reason)
            select t.message_no, t.recipient_no, t.sender_no, t.swarm_no, p_now, t.last_error from tried t where t.state = 7
            on conflict (message_no, recipient_no) do update set died_at = excluded.died_at, reason = excluded.reason
        )
        select count(*) filter (where t.state = 0), count(*) filter (where t.state = 7) into retried, dead from tried t;
    end if;

    if 4 = any (p_outcome) then
        update deliveries d set state = 0, lease_id = null
        from unnest(p_message, p_recipient, p_lease, p_outcome) u (message, recipient, lease, outcome)
        where u.outcome = 4 and d.message_no = u.message and d.recipient_no = u.recipient and d.lease_id = u.lease;
        get diagnostics v_back = row_count;
    end if;

    update lanes l set lease_id = null, leased_until = null, held_until = u.until
    from unnest(p_recipient, p_sender, p_priority, p_lease, p_until, p_last) u (recipient, sender, priority, lease, until, last)
    where u.last and l.recipient_no = u.recipient and l.sender_no = u.sender and l.priority = u.priority and l.lease_id = u.lease;
    stale := cardinality(p_message) - delivered - retried - dead - v_back;
end
$$;

-- Ends what its receivers would refuse as too old, without a call: p_before is a message number, so only old partitions are read.
create function bury_old_deliveries(p_recipients bigint[], p_before bigint, p_now timestamptz, p_limit integer, p_reason text)
returns integer language plpgsql
set jit = off
as $$
#variable_conflict use_column
declare
    v_dead integer;
begin
    with old as (
        select d.message_no, d.recipient_no from unnest(p_recipients) r (no)
        left join queue_heads h on h.recipient_no = r.no
        cross join lateral (
            select d.message_no, d.recipient_no from deliveries d
            where d.recipient_no = r.no and d.seq > coalesce(h.head, 0) and d.message_no < p_before and d.state = 0
            order by d.seq limit p_limit) d
        limit p_limit
    ), ended as (
        update deliveries d set state = 7, lease_id = null, last_error = p_reason from old o
        where d.message_no = o.message_no and d.recipient_no = o.recipient_no and d.state = 0
        returning d.message_no, d.recipient_no, d.sender_no, d.swarm_no
    ), buried as (
        insert into dead_letters (message_no, recipient_no, sender_no, swarm_no, died_at, reason)
        select e.message_no, e.recipient_no, e.sender_no, e.swarm_no, p_now, p_reason from ended e
        on conflict (message_no, recipient_no) do update set died_at = excluded.died_at, reason = excluded.reason
    )
    select count(*) into v_dead from ended;
    return v_dead;
end
$$;

-- Dead letters go back to their place in the queue; seq stays. What has expired meanwhile is not sent again.
create function requeue_dead_letters(p_message bigint[], p_recipient bigint[], p_now timestamptz)
returns table (message_no bigint, recipient_no bigint) language plpgsql
set jit = off
as $$
#variable_conflict use_column
begin
    insert into queue_heads (recipient_no) select distinct u.r from unnest(p_recipient) u (r) order by 1 on conflict do nothing;
    perform 1 from queue_heads h where h.recipient_no = any (p_recipient) order by h.recipient_no for update;

    return query
    with raised as (
        delete from dead_letters l using unnest(p_message, p_recipient) u (m, r) where l.message_no = u.m and l.recipient_no = u.r
        returning l.message_no, l.recipient_no
    ), forgotten as (
        delete from delivery_attempts a using raised r where a.message_no = r.message_no and a.recipient_no = r.recipient_no
    ), back as (
        update deliveries d
        set state = case when m.expires_at <= p_now then 8 else 0 end, attempts = 0, last_error = null, due_at = null, lease_id = null
        from raised r join messages m on m.message_no = r.message_no
        where d.message_no = r.message_no and d.recipient_no = r.recipient_no and d.state = 7
        returning d.message_no, d.recipient_no, d.seq
    ), lowered as (
        update queue_heads h set head = least(h.head, b.seq - 1)
        from (select b.recipient_no, min(b.seq) as seq from back b group by b.recipient_no) b
        where h.recipient_no = b.recipient_no
    )
    select b.message_no, b.recipient_no from back b;
end
$$;

-- A system message of a swarm's member, in the transaction that changes the swarm (which holds the swarm's lock, and is audited).
-- Above p_expand_above recipients the deliveries follow in chunks, as for every large message.
create function accept_notice(
    p_sender bigint, p_id uuid, p_fingerprint bytea, p_swarm bigint, p_protocol smallint, p_kind smallint, p_priority smallint,
    p_sent_at timestamptz, p_trace text, p_wire bytea, p_recipients bigint[], p_now timestamptz, p_expand_above integer)
returns void language plpgsql
set jit = off
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_no bigint := next_message_no();
begin
    insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at) values (p_sender, p_id, p_fingerprint, v_no, p_now);
    insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified, sent_at, accepted_at, trace, wire)
    values (v_no, p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, true, p_sent_at, p_now, p_trace, p_wire);
    if cardinality(p_recipients) > p_expand_above then
        insert into expansions (message_no, sender_no, swarm_no, priority, scheduled, due_at, recipients)
        values (v_no, p_sender, p_swarm, p_priority, false, p_now, p_recipients);
        return;
    end if;

    with raised as (
        update mailboxes b set last_seq = b.last_seq + 1
        from (select distinct u.no from unnest(p_recipients) u (no) order by u.no) r
        where b.recipient_no = r.no
        returning b.recipient_no, b.last_seq
    )
    insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority)
    select v_no, r.recipient_no, r.last_seq, p_sender, p_swarm, p_priority from raised r;
end
$$;
