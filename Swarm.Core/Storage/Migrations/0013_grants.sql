-- What a swarm demands of its members (ADR 26): actions for which a capability is needed, and the A1 swarm whose members have them.
alter table swarms
    add column demands  smallint not null default 0 check (demands between 0 and 7),         -- 1 send, 2 invite, 4 wake
    add column a1_swarm bytea references a1_swarms on delete set null;                       -- gone: nobody has anything, so nobody may
create unique index swarms_by_a1_swarm on swarms (a1_swarm) where a1_swarm is not null;

-- When something was last taken from an agent: what it has open since before ends, also where the event of it was missed.
create table grant_endings (
    agent_no bigint primary key references agents,
    ended_at timestamptz not null
);

-- Takes back what a key was given in a swarm: its membership of the A1 swarm, and every certificate that came with it.
create function end_grant(p_a1_swarm bytea, p_key bytea) returns void language sql as $$
    insert into a1_revocations (fingerprint, revoked_at)
    select c.fingerprint, clock_timestamp() from a1_certificates c join a1_swarms s using (passport_no)
    where s.swarm_id = p_a1_swarm and c.agent = p_key
    order by c.fingerprint
    on conflict do nothing;
    delete from a1_members where swarm_id = p_a1_swarm and agent = p_key;
$$;

-- Ends what an agent holds: its leases run out now (a push's is its node's, not its own), and its streams are older than this.
create function end_work(p_agent_no bigint) returns void language sql as $$
    update lanes l set leased_until = clock_timestamp()
    from (select w.recipient_no, w.sender_no, w.priority from lanes w join agents a on a.agent_no = w.recipient_no
          where w.recipient_no = p_agent_no and a.kind <> 3 and w.leased_until > clock_timestamp()
          order by w.sender_no, w.priority for update of w) h
    where l.recipient_no = h.recipient_no and l.sender_no = h.sender_no and l.priority = h.priority;
    insert into grant_endings (agent_no, ended_at) values (p_agent_no, clock_timestamp())
    on conflict (agent_no) do update set ended_at = excluded.ended_at;
$$;

-- Whoever leaves, is removed, or has another key from now on has lost what the old key was given, however it came about.
create function member_lost_key() returns trigger language plpgsql as $$
declare
    v_a1_swarm bytea;
begin
    select a1_swarm into v_a1_swarm from swarms where swarm_no = old.swarm_no;
    if v_a1_swarm is not null then
        perform end_grant(v_a1_swarm, old.public_key);
        perform end_work(old.agent_no);
    end if;
    return null;
end
$$;
create trigger members_removed after delete on members for each row execute function member_lost_key();
create trigger members_rekeyed after update of public_key on members for each row
    when (old.public_key is distinct from new.public_key) execute function member_lost_key();
