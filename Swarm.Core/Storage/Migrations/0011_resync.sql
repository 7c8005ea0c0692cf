-- How a node catches up with a swarm whose events it missed, and how an agent is believed that has another key now (ASP §10.6; §20 W-13, W-23).

-- The invite by which the member joined a swarm of another node, sealed under the master key: it is posted again to catch up.
alter table members add column sealed_invite bytea check (octet_length(sealed_invite) <= 20480);

-- The member agreed to become the master when the master offers it.
alter table members add column takes_over boolean not null default false;

-- When the node last asked by itself how the swarm stands.
alter table swarms add column asked_at timestamptz;

-- The keys that a hosted agent had before, the newest few: what the old one signs is believed where the new one was never told.
create table former_keys (
    agent_no    bigint not null references agents,
    public_key  bytea not null check (octet_length(public_key) = 32),
    sealed_seed bytea not null,
    retired_at  timestamptz not null,
    primary key (agent_no, public_key)
);

-- Who handed the swarm to whom, as each master signed it: shown to members that missed it.
create table master_changes (
    swarm_no bigint not null references swarms on delete cascade,
    at       timestamptz not null,                    -- when it was signed
    wire     bytea not null check (octet_length(wire) <= 131072),
    primary key (swarm_no, at)
);
