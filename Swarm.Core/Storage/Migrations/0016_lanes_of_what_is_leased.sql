-- Leases as 0005 has them, but a lane is claimed by what was leased of it, not by what was meant to be. Between the look at the deliveries and the lock on
-- their lanes another consumer can lease and acknowledge all of them: its lane was then held by a lease of nothing, until that lease ran out.
-- Now such a call looks again.
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
    v_heads     bigint[];   -- recipients whose heads are ours to move
    v_message   bigint[];   -- what we would lease
    v_recipient bigint[];
    v_sender    bigint[];
    v_priority  smallint[];
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

    for v_try in 1 .. 3 loop
        select array_agg(p.message_no), array_agg(p.recipient_no), array_agg(p.sender_no), array_agg(p.priority)
        into v_message, v_recipient, v_sender, v_priority
        from (
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
        where p.bytes_before < p_bytes;
        exit when v_message is null;

        return query
        with free as materialized (
            select l.recipient_no, l.sender_no, l.priority
            from (select distinct k.recipient_no, k.sender_no, k.priority from unnest(v_recipient, v_sender, v_priority) k (recipient_no, sender_no, priority)) k
            join lanes l on l.recipient_no = k.recipient_no and l.sender_no = k.sender_no and l.priority = k.priority
            where l.lease_id is null and (l.held_until is null or l.held_until <= p_now)
            order by l.recipient_no, l.sender_no, l.priority
            for update of l skip locked
        ), leased as (
            update deliveries d set state = 1, lease_id = p_lease
            from unnest(v_message, v_recipient, v_sender, v_priority) p (message_no, recipient_no, sender_no, priority)
            where d.message_no = p.message_no and d.recipient_no = p.recipient_no and d.state = 0
              -- "is true" keeps it a hashed look-up: as a join it would be a nested loop, because estimates of CTEs are small
              and ((p.recipient_no, p.sender_no, p.priority) in (select f.recipient_no, f.sender_no, f.priority from free f)) is true
            returning d.recipient_no, d.seq, d.state, d.message_no, d.sender_no, d.swarm_no, d.priority, d.attempts
        ), claimed as (
            update lanes l set lease_id = p_lease, leased_until = p_until, held_until = null
            from (select distinct d.recipient_no, d.sender_no, d.priority from leased d) f
            where l.recipient_no = f.recipient_no and l.sender_no = f.sender_no and l.priority = f.priority
        )
        select l.recipient_no, l.seq, l.state, m.accepted_at, m.verified, m.wire, l.message_no, l.sender_no, l.swarm_no, l.priority, l.attempts,
               m.protocol, m.message_id, m.trace
        from leased l cross join lateral (select y.* from messages y where y.message_no = l.message_no offset 0) m
        order by l.recipient_no, l.seq;
        exit when found;
    end loop;
end
$$;
