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
