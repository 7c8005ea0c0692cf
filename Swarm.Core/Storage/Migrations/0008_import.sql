-- The way over from a reference installation (ASP §13): what an imported message was there, and keys of agents that are no member anywhere.

-- What the file said of a message, for the agent whose file it was: shown and exported instead of what this node would say by itself.
create table imported_messages (
    message_no bigint not null,
    agent_no   bigint not null references agents,
    at         timestamptz not null,                  -- received, or sent
    stored     bytea,                                 -- the inbox's stored text (ASP §5.3); null for a sent message
    recipient  text check (octet_length(recipient) <= 256),
    status     smallint check (status between 0 and 2),               -- of a sent message: 0 sent, 1 delivered, 2 failed
    error      text check (octet_length(error) <= 4096),
    primary key (message_no, agent_no)
);
alter table imported_messages alter column stored set storage external;
create index imported_messages_by_agent on imported_messages (agent_no);

-- Keys that an agent brought along: kept to be exported again. Nothing is verified by them: members have their pinned keys.
create table known_keys (
    agent_no   bigint not null references agents,
    name       text not null check (octet_length(name) between 1 and 256),
    public_key bytea not null check (octet_length(public_key) = 32),
    fetched_at timestamptz not null,
    endpoint   text check (octet_length(endpoint) <= 8192),
    primary key (agent_no, name)
);

-- Stores an imported message, and returns its number; that of the copy which is here already when the sender used the id before.
create function import_message(
    p_sender bigint, p_id uuid, p_fingerprint bytea, p_swarm bigint, p_kind smallint, p_priority smallint, p_verified boolean,
    p_sent_at timestamptz, p_now timestamptz, p_wire bytea, p_outgoing boolean)
returns bigint language plpgsql as $$
declare
    v_no   bigint := next_message_no();
    v_used bigint;
begin
    insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
    values (p_sender, p_id, p_fingerprint, v_no, p_now)
    on conflict do nothing;
    -- A statement of its own, so that an id which another replica committed meanwhile is seen; locked, so that it stays as it is.
    select i.message_no into v_used from message_ids i where i.sender_no = p_sender and i.message_id = p_id for update;
    if v_used <> v_no then
        if exists (select 1 from messages m where m.message_no = v_used) then
            update messages set outgoing = true where message_no = v_used and p_outgoing and not outgoing;
            return v_used;
        end if;
        -- Retention took the message and remembers its id: it comes back.
        update message_ids set message_no = v_no, fingerprint = p_fingerprint, accepted_at = p_now where sender_no = p_sender and message_id = p_id;
    end if;
    insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified, sent_at, accepted_at, wire, outgoing)
    values (v_no, p_sender, p_swarm, p_id, 1, p_kind, p_priority, p_verified, p_sent_at, p_now, p_wire, p_outgoing);
    return v_no;
end
$$;

-- Gives it to its recipient in the state that the file says, instead of the one it has here.
create function import_delivery(
    p_message bigint, p_recipient bigint, p_state smallint, p_read_at timestamptz, p_archived_at timestamptz, p_deleted_at timestamptz)
returns void language plpgsql as $$
declare
    v_seq bigint;
begin
    update deliveries d
    set state = p_state, read_at = p_read_at, archived_at = p_archived_at, deleted_at = p_deleted_at, lease_id = null, due_at = null, attempts = 0
    where d.message_no = p_message and d.recipient_no = p_recipient
    returning d.seq into v_seq;
    if found then
        update queue_heads set head = v_seq - 1 where recipient_no = p_recipient and head >= v_seq and p_state = 0;
        delete from dead_letters where message_no = p_message and recipient_no = p_recipient;
        return;
    end if;
    update mailboxes set last_seq = last_seq + 1 where recipient_no = p_recipient returning last_seq into v_seq;
    insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, state, read_at, archived_at, deleted_at)
    select m.message_no, p_recipient, v_seq, m.sender_no, m.swarm_no, m.priority, p_state, p_read_at, p_archived_at, p_deleted_at
    from messages m where m.message_no = p_message;
end
$$;
