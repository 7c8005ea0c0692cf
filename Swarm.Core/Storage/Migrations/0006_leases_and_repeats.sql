-- accept_rest as in 0002, except that
-- a known id counts as deliverable only while its message is there, or comes with this batch: what comes again after retention has taken its
-- message away is a duplicate that is delivered to nobody, and no longer raises the mailbox's number for nothing;
-- what is in memory is joined by hashing, where nested loops went up with the square of the batch (accept_batch switches hashing off, which
-- held here too). Each look into a table is fenced by offset 0, so that it stays a look-up by index whatever the planner knows of the table.
create or replace function accept_rest(
    p_base bigint, p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[], p_outgoing boolean[],
    d_ord integer[], d_recipient bigint[], p_now timestamptz,
    out status smallint[], out seq bigint[], out recipients integer[], out root bytea)
language plpgsql
set enable_hashjoin = on
set enable_mergejoin = on
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_no      bigint[];         -- message_no by ordinal; null where nothing may be delivered
    v_status  smallint[];
begin
    -- A statement of its own, so that an id which another replica committed meanwhile is seen. What carries our own number has won.
    select array_agg(case when m.message_no = p_base + u.o - 1 then m.message_no
                          when (u.swarm is null or s.version = u.version) and m.fingerprint = u.fingerprint
                               and (m.message_no between p_base and p_base + cardinality(p_sender) - 1
                                    or (select true from messages x where x.message_no = m.message_no)) then m.message_no end order by u.o),
           array_agg((case when m.message_no = p_base + u.o - 1 then 1
                           when u.swarm is not null and s.version is distinct from u.version then 4
                           when m.message_no is null then 8
                           when m.fingerprint = u.fingerprint then 2
                           else 3 end)::smallint order by u.o)
    into v_no, v_status
    from unnest(p_sender, p_id, p_fingerprint, p_swarm, p_version) with ordinality u (sender, id, fingerprint, swarm, version, o)
    left join lateral (select x.version from swarms x where x.swarm_no = u.swarm offset 0) s on true
    left join lateral (select x.message_no, x.fingerprint from message_ids x where x.sender_no = u.sender and x.message_id = u.id offset 0) m on true;

    insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                          sent_at, accepted_at, expires_at, trace, wire, outgoing)
    select p_base + u.o - 1, u.sender, u.swarm, u.id, u.protocol, u.kind, u.priority, u.verified,
           u.sent_at, p_now, u.expires_at, u.trace, u.wire, u.outgoing
    from unnest(p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_expires_at, p_trace, p_wire, p_outgoing)
         with ordinality u (sender, swarm, id, protocol, kind, priority, verified, sent_at, expires_at, trace, wire, outgoing, o)
    where v_status[u.o] = 1;

    perform 1 from mailboxes b
    where b.recipient_no = any (array(select d.recipient from unnest(d_ord, d_recipient) d (o, recipient) where v_no[d.o] is not null))
    order by b.recipient_no for no key update;

    with wanted as materialized (
        select d.o, d.recipient, v_no[d.o] as no
        from unnest(d_ord, d_recipient) d (o, recipient)
        where v_no[d.o] is not null
    ), existing as materialized (
        select w.o, w.recipient, e.seq
        from wanted w
        cross join lateral (select x.seq from deliveries x where x.message_no = w.no and x.recipient_no = w.recipient offset 0) e
        where v_status[w.o] = 2
    ), fresh as (
        select distinct on (w.no, w.recipient) w.o, w.recipient, w.no
        from wanted w left join existing x on x.o = w.o and x.recipient = w.recipient
        where x.o is null
        order by w.no, w.recipient, w.o
    ), numbered as materialized (
        select f.o, f.recipient, f.no, b.last_seq + row_number() over (partition by f.recipient order by f.o) as seq
        from fresh f cross join lateral (select x.last_seq from mailboxes x where x.recipient_no = f.recipient offset 0) b
    ), inserted as (
        -- Of a message that is known already, priority and expiry are those of the copy that is kept.
        insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, expires_at)
        select n.no, n.recipient, n.seq, m.sender_no, m.swarm_no, m.priority, m.expires_at
        from numbered n
        cross join lateral (
            select x.sender_no, x.swarm_no, x.priority, x.expires_at from messages x where x.message_no = n.no offset 0) m
    ), raised as (
        update mailboxes b set last_seq = r.last
        from (select recipient, max(seq) as last from numbered group by recipient) r
        where b.recipient_no = r.recipient and b.recipient_no = any (array(select recipient from numbered))
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
    where v_status[u.o] = 1;
end
$$;

-- lease_deliveries and lease_pushes as in 0005, except that they look up few rows whatever the planner knows of the tables: fenced, and
-- without the joins that read a whole table.
create or replace function lease_deliveries(
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

create or replace function lease_pushes(
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
