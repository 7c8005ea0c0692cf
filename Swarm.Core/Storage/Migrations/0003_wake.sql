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
