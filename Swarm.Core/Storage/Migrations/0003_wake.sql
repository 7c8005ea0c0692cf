-- The recipient's side: mutes (ASP §10.7) and wake (ASP §11).

-- Whom an agent does not want to hear: another agent by its text id on the wire, in whatever swarm, or a whole swarm, its own or not.
create table mutes (
    mute_no  bigint generated always as identity primary key,
    agent_no bigint not null references agents,
    name     text check (octet_length(name) between 1 and 256),
    swarm_id uuid,
    muted_at timestamptz not null,
    reason   text check (octet_length(reason) <= 4000),
    check ((name is null) <> (swarm_id is null)),
    unique nulls not distinct (agent_no, name, swarm_id)
);

-- When and how an agent is woken, and how far its inbox was looked at for that. A Worker holds a row by lease_id until leased_until.
create table wakes (
    agent_no      bigint primary key references agents,
    preferences   text not null check (octet_length(preferences) <= 131072),     -- JSON
    action        smallint not null check (action between 0 and 2),              -- 0 none, 1 signed webhook, 2 the protocol's POST
    url           text check (octet_length(url) <= 8192),
    sealed_secret bytea,
    looked_seq    bigint not null,                                               -- everything up to it was looked at, and is done with
    due_at        timestamptz,                                                   -- not before; null: as soon as something is there
    seen_seq      bigint not null default 9223372036854775807,                   -- while it waits for its window: something newer ends the wait
    attempts      smallint not null default 0,
    lease_id      uuid,
    leased_until  timestamptz,
    last_at       timestamptz,
    last_result   text check (octet_length(last_result) <= 256),
    check ((action = 0) = (url is null))
) with (fillfactor = 70);

-- The session in which an agent talks with a peer in a swarm (ASP §11.4).
create table conversations (
    agent_no    bigint not null references agents,
    swarm_id    uuid not null,
    peer        text not null check (octet_length(peer) between 1 and 256),
    session_id  text not null check (octet_length(session_id) between 1 and 1024),
    last_active timestamptz not null,
    primary key (agent_no, swarm_id, peer)
);
