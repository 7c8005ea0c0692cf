-- The lifecycle of swarms across nodes (ASP §10): who waits for approval, whom a remote master announced, what was applied last.

-- A dissolved swarm keeps its row, without members: its id is not given again, and inboxes still name it.
alter table swarms add column dissolved_at timestamptz;

-- When the pinned key was last confirmed: by the join, by a re-sync with the master, or by a rotation. Null: not since the join.
alter table members add column key_confirmed_at timestamptz;

-- Joins that wait for the master's word (ASP §8.2), and those that it refused, until they expire.
create table join_requests (
    swarm_no     bigint not null references swarms on delete cascade,
    name         text not null check (octet_length(name) between 1 and 256),
    agent_no     bigint references agents,                                -- an agent of this node; null: one that lives elsewhere
    endpoint     text not null check (octet_length(endpoint) <= 8192),
    public_key   bytea not null check (octet_length(public_key) = 32),
    token_hash   bytea not null references invites,                       -- spent by the approval
    requested_at timestamptz not null,
    expires_at   timestamptz not null,
    rejected_at  timestamptz,
    primary key (swarm_no, name)
);

-- Members that a remote master announced without their key (ASP §10.5): it is fetched from their endpoint, then they are on the roster.
create table introductions (
    swarm_no  bigint not null references swarms on delete cascade,
    name      text not null check (octet_length(name) between 1 and 256),
    endpoint  text not null check (octet_length(endpoint) <= 8192),
    listener  text not null check (octet_length(listener) <= 256),         -- the member here that was told
    joined_at timestamptz not null,
    told_at   timestamptz not null,                                       -- when the announcement was signed
    attempts  integer not null default 0,
    due_at    timestamptz not null,
    primary key (swarm_no, name)
);
create index introductions_due on introductions (due_at);

-- The signed time of the newest event that was applied to a name: what is older has no effect (design §3, Time). A kick is told twice
-- with one time, so of equal ones only that has an effect which does something else.
create table lifecycle_marks (
    swarm_no bigint not null references swarms on delete cascade,
    name     text not null check (octet_length(name) between 1 and 256),
    at       timestamptz not null,
    kind     smallint not null,                       -- 1 joined, 2 removed, 3 key, 4 endpoint
    primary key (swarm_no, name)
);
create index lifecycle_marks_by_time on lifecycle_marks (at);

-- Events after which their sender, or the agent at whose door they came, is no member any more, or has another key. Their further copies (one for each
-- door, and repeats) are known by this, and answered as they would have been before.
create table farewells (
    sender_no  bigint not null,
    message_id uuid not null,
    swarm_no   bigint not null references swarms on delete cascade,
    sender     text not null check (octet_length(sender) between 1 and 256),
    public_key bytea not null check (octet_length(public_key) = 32),       -- what the message was signed with
    doors      bigint[] not null,                                         -- agents of this node that it was for
    at         timestamptz not null,                                      -- when it was signed
    primary key (swarm_no, message_id, sender_no)
);
create index farewells_by_time on farewells (at);

-- What the node itself has to tell one of its agents: unsigned, addressed to nobody, sent by nobody's will (ASP §10.2).
create function accept_record(
    p_sender bigint, p_id uuid, p_fingerprint bytea, p_swarm bigint, p_protocol smallint, p_kind smallint, p_priority smallint,
    p_wire bytea, p_recipient bigint, p_now timestamptz)
returns void language plpgsql as $$
declare
    v_no  bigint := next_message_no();
    v_seq bigint;
begin
    insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at) values (p_sender, p_id, p_fingerprint, v_no, p_now);
    insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified, sent_at, accepted_at, wire, outgoing)
    values (v_no, p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, false, p_now, p_now, p_wire, false);
    update mailboxes set last_seq = last_seq + 1 where recipient_no = p_recipient returning last_seq into v_seq;
    insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority)
    values (v_no, p_recipient, v_seq, p_sender, p_swarm, p_priority);
end
$$;

-- As in 0002, but what was said in a swarm before it was dissolved, its end above all, still reaches those who were its members.
create or replace function expand_next(
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
      and (v_row.swarm_no is null or exists (select 1 from members m where m.swarm_no = v_row.swarm_no and m.agent_no = u.no)
           or exists (select 1 from swarms s where s.swarm_no = v_row.swarm_no and s.dissolved_at is not null));
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
