-- The house: who is here, which swarms they form, and the way of a message (design §3, §4).

create table node (
    only_row         boolean primary key default true check (only_row),
    node_id          uuid not null,
    master_key_check bytea,
    control_epoch    bigint not null default 0,     -- raised by every change of membership, key or grant (design §3 promise 7)
    created_at       timestamptz not null
);

create table agents (
    agent_no     bigint generated always as identity primary key,
    kind         smallint not null check (kind between 1 and 3),
    name         text check (octet_length(name) between 1 and 256),      -- null for remote agents: their names are per swarm
    endpoint     text not null check (octet_length(endpoint) <= 8192),
    public_key   bytea not null check (octet_length(public_key) = 32),
    sealed_seed  bytea,
    display_name text check (octet_length(display_name) <= 1024),
    description  text check (octet_length(description) <= 8192),
    is_default   boolean not null default false,
    created_at   timestamptz not null,
    revoked_at   timestamptz,
    check ((kind = 3) = (name is null)),
    check ((kind = 1) = (sealed_seed is not null))
);
create unique index agents_by_name on agents (name) where name is not null;
create unique index agents_by_remote_key on agents (public_key) where kind = 3;
create unique index agents_default on agents (is_default) where is_default;

-- One gapless counter a recipient (design §3 promise 5).
create table mailboxes (
    recipient_no bigint primary key,
    last_seq     bigint not null default 0,
    queue_head   bigint not null default 0         -- every delivery up to this seq is finished: the work queue looks behind it
) with (fillfactor = 50);

create table swarms (
    swarm_no            bigint generated always as identity primary key,
    swarm_id            uuid not null unique,
    name                text not null check (octet_length(name) between 1 and 1024),
    master_no           bigint not null references agents,
    allow_member_invite boolean not null,
    require_approval    boolean not null,
    version             bigint not null default 1,  -- the fence: raised by every change of membership, key or mute
    created_at          timestamptz not null
) with (fillfactor = 50);

-- A member's name is its alias within the swarm; the same name may mean another key in another swarm.
create table members (
    member_no  bigint generated always as identity primary key,          -- insertion order (ASP §8.2)
    swarm_no   bigint not null references swarms on delete cascade,
    agent_no   bigint not null references agents,
    name       text not null check (octet_length(name) between 1 and 256),
    endpoint   text not null check (octet_length(endpoint) <= 8192),
    public_key bytea not null check (octet_length(public_key) = 32),      -- pinned at the join
    joined_at  timestamptz not null,
    unique (swarm_no, agent_no),
    unique (swarm_no, name)
);
create index members_by_agent on members (agent_no);

create table invites (
    token_hash bytea primary key check (octet_length(token_hash) = 32),   -- SHA-256 of the JWT; the token itself is not kept
    swarm_no   bigint not null references swarms on delete cascade,
    issued_by  bigint references agents,                                  -- null: first seen when it was used
    created_at timestamptz not null,
    expires_at timestamptz,
    max_uses   integer,
    uses       integer not null default 0,
    revoked_at timestamptz
);

create table tokens (
    token_id     bigint generated always as identity primary key,
    token_hash   bytea not null unique check (octet_length(token_hash) = 32),
    scope        smallint not null check (scope between 1 and 4),         -- 1 operator admin, 2 operator read, 3 agent, 4 enrolment
    agent_no     bigint references agents,
    label        text check (octet_length(label) <= 1024),
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    check ((scope = 3) = (agent_no is not null))
);
create index tokens_by_agent on tokens (agent_no) where agent_no is not null;

-- Hot tables. Keys rise; message_no is taken in blocks of one batch, so that it rises in arrival order within the batch.
create sequence message_no_blocks increment by 512;

-- Uniqueness of ids outlives the message (design §4), so it has a table of its own.
create table message_ids (
    sender_no   bigint not null,
    message_id  uuid not null,
    fingerprint bytea not null,
    message_no  bigint not null,
    accepted_at timestamptz not null,
    primary key (sender_no, message_id)
);

create table messages (
    message_no  bigint primary key,
    sender_no   bigint not null,
    swarm_no    bigint,                               -- null only for unchecked messages of a swarm that is not held
    message_id  uuid not null,
    protocol    smallint not null,
    kind        smallint not null,
    priority    smallint not null,
    verified    boolean not null,
    sent_at     timestamptz not null,
    accepted_at timestamptz not null,
    expires_at  timestamptz,
    trace       text,                                 -- W3C traceparent of the accept
    wire        bytea not null
);
alter table messages alter column wire set storage external;              -- signed text of agents compresses badly and costs time
create index messages_by_sender on messages (sender_no, message_no);

create table deliveries (
    message_no   bigint not null,
    recipient_no bigint not null,
    seq          bigint not null,
    sender_no    bigint not null,
    swarm_no     bigint,
    priority     smallint not null,
    state        smallint not null default 0,
    attempts     smallint not null default 0,
    due_at       timestamptz,                         -- null: at once
    expires_at   timestamptz,
    lease_id     uuid,
    read_at      timestamptz,
    last_error   text check (octet_length(last_error) <= 1024),
    primary key (message_no, recipient_no)
) with (fillfactor = 90);
create index deliveries_by_recipient on deliveries (recipient_no, seq);
create index deliveries_expiring on deliveries (expires_at) where expires_at is not null and state in (0, 1);
create index deliveries_leased on deliveries (lease_id) where lease_id is not null;

-- A lane is (sender, recipient, priority class); a row appears when a consumer first leases it (design §3 promise 4).
create table lanes (
    recipient_no bigint not null,
    sender_no    bigint not null,
    priority     smallint not null,
    lease_id     uuid,
    leased_until timestamptz,
    held_until   timestamptz,                         -- a negative acknowledgement with delay holds the lane
    primary key (recipient_no, sender_no, priority)
);
create index lanes_by_lease on lanes (lease_id) where lease_id is not null;

-- One hash chain a writer (design §5 Audit); a batch entry also tells what a lost signal missed (design §3 promise 6).
create table audit_entries (
    writer_id  uuid not null,
    entry_no   bigint not null,
    xid        xid8 not null default pg_current_xact_id(),
    at         timestamptz not null,
    kind       smallint not null,                     -- 1 batch of messages, 2 decision
    root       bytea not null,                        -- batch: over ids and fingerprints; decision: over the detail
    messages   integer not null,
    detail     text check (octet_length(detail) <= 8192),
    recipients bigint[],
    previous   bytea not null,
    hash       bytea not null,
    primary key (writer_id, entry_no)
);
create index audit_entries_by_xid on audit_entries (xid);

-- The fence (design §3 promise 7) is an advisory lock a swarm: like FOR SHARE on its row, without a write to the row for every batch.
create function swarm_lock(swarm_no bigint) returns bigint language sql immutable
return 4611686018427387904 + swarm_no;                -- 2^62: away from the lock of the migrations

-- Before a decision reads what it depends on: waits for the batches that hold the swarm, and makes later ones check again.
create function lock_swarm(p_swarm_no bigint) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(swarm_lock(p_swarm_no));
    update swarms set version = version + 1 where swarm_no = p_swarm_no;
end
$$;

-- The accept statement (design §3, group commit): one call, one implicit transaction, one round trip.
-- Each statement of the body takes a fresh snapshot, so what another replica committed while we waited for a lock is seen.
-- Locks are taken in one order everywhere: swarms by number, message ids sorted, mailboxes by recipient. The caller passes what it
-- can count itself: fences (distinct swarm and version, by swarm), deliveries with the members of their message, distinct recipients with how many
-- deliveries they get, and the audit root for the case that everything is new.
-- status by ordinal: 1 accepted, 2 duplicate, 3 id reused for another message, 4 the swarm changed since the authority check;
-- null instead of an array: all accepted.
create function accept_messages(
    p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[],
    f_swarm bigint[], f_version bigint[],
    d_ord integer[], d_recipient bigint[], d_sender bigint[], d_swarm bigint[], d_priority smallint[], d_expires_at timestamptz[],
    r_recipient bigint[], r_count bigint[],
    p_now timestamptz, p_writer uuid, p_entry bigint, p_previous bytea, p_root bytea,
    out status smallint[], out seq bigint[], out recipients integer[], out audit_hash bytea)
language plpgsql
-- The rows of mailboxes are to be locked in the order of the recipients that drive the join.
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_base    bigint := nextval('message_no_blocks');
    v_count   integer := cardinality(p_sender);
    v_rows    bigint;
    v_root    bytea := p_root;
begin
    -- Shared with other batches, exclusive with whoever changes a swarm (lock_swarm); the next statement then reads current versions.
    perform pg_advisory_xact_lock_shared(swarm_lock(k)) from unnest(f_swarm) k;
    select count(*) into v_rows
    from unnest(f_swarm, f_version) f (swarm, version) join swarms s on s.swarm_no = f.swarm and s.version = f.version;

    if v_rows = cardinality(f_swarm) then
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
        where u.swarm is null or s.version = u.version
        order by u.sender, u.id, u.o
        on conflict do nothing;
        get diagnostics v_rows = row_count;
    end if;

    if v_rows = v_count then
        -- The common case: every fence holds and everything is new.
        insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                              sent_at, accepted_at, expires_at, trace, wire)
        select v_base + u.o - 1, u.sender, u.swarm, u.id, u.protocol, u.kind, u.priority, u.verified,
               u.sent_at, p_now, u.expires_at, u.trace, u.wire
        from unnest(p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_expires_at, p_trace, p_wire)
             with ordinality u (sender, swarm, id, protocol, kind, priority, verified, sent_at, expires_at, trace, wire, o);

        with raised as (
            update mailboxes b set last_seq = b.last_seq + r.n
            from unnest(r_recipient, r_count) r (recipient, n)
            where b.recipient_no = r.recipient
            returning b.recipient_no, b.last_seq - r.n as before
        ), inserted as (
            insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, expires_at)
            select v_base + d.o - 1, d.recipient, r.before + row_number() over (partition by d.recipient order by d.o),
                   d.sender, d.swarm, d.priority, d.expires_at
            from (select * from unnest(d_ord, d_recipient, d_sender, d_swarm, d_priority, d_expires_at)
                                  u (o, recipient, sender, swarm, priority, expires_at) order by recipient, o) d
            join raised r on r.recipient_no = d.recipient
            returning message_no, seq
        )
        select array_agg(i.seq order by i.message_no) into seq
        from (select message_no, min(seq) as seq from inserted group by message_no) i;
    else
        select a.status, a.seq, a.recipients, a.root into status, seq, recipients, v_root
        from accept_mixed(v_base, p_sender, p_id, p_fingerprint, p_swarm, p_version, p_protocol, p_kind, p_priority, p_verified,
                          p_sent_at, p_expires_at, p_trace, p_wire, d_ord, d_recipient, p_now) a;
    end if;

    audit_hash := sha256(p_previous || v_root || int8send(p_entry));
    insert into audit_entries (writer_id, entry_no, at, kind, root, messages, recipients, previous, hash)
    values (p_writer, p_entry, p_now, 1, v_root, v_rows, r_recipient, p_previous, audit_hash);
end
$$;

-- The rest of a batch in which something is not new or not current; the ids that are new have just been inserted.
create function accept_mixed(
    p_base bigint, p_sender bigint[], p_id uuid[], p_fingerprint bytea[], p_swarm bigint[], p_version bigint[],
    p_protocol smallint[], p_kind smallint[], p_priority smallint[], p_verified boolean[],
    p_sent_at timestamptz[], p_expires_at timestamptz[], p_trace text[], p_wire bytea[],
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
                           when m.fingerprint = u.fingerprint then 2
                           else 3 end)::smallint order by u.o)
    into v_no, v_status
    from unnest(p_sender, p_id, p_fingerprint, p_swarm, p_version) with ordinality u (sender, id, fingerprint, swarm, version, o)
    left join swarms s on s.swarm_no = u.swarm
    left join message_ids m on m.sender_no = u.sender and m.message_id = u.id;

    insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified,
                          sent_at, accepted_at, expires_at, trace, wire)
    select p_base + u.o - 1, u.sender, u.swarm, u.id, u.protocol, u.kind, u.priority, u.verified,
           u.sent_at, p_now, u.expires_at, u.trace, u.wire
    from unnest(p_sender, p_swarm, p_id, p_protocol, p_kind, p_priority, p_verified, p_sent_at, p_expires_at, p_trace, p_wire)
         with ordinality u (sender, swarm, id, protocol, kind, priority, verified, sent_at, expires_at, trace, wire, o)
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
