-- What agents may do, and what was done with it (A1 §10, §12, §13, §20). Times are Unix seconds, as the certificates have them; wire texts lie in bytea.

-- The gateway's own key, which signs what it issues, and the key of its tokens; made once, for all replicas.
create table a1_gateway (
    only_row    boolean primary key default true check (only_row),
    public_key  bytea not null check (octet_length(public_key) = 32),
    sealed_seed bytea not null,
    sealed_mac  bytea not null
);

-- Passports that this node knows, and with sealed_seed those whose holder's key it keeps. A swarm has one of its own, without a file name.
create table a1_passports (
    passport_no bigint generated always as identity primary key,
    holder      bytea not null check (octet_length(holder) = 32),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),   -- of the root certificate
    scope_root  bytea not null check (octet_length(scope_root) = 32),
    expires_at  bigint not null,
    document    bytea not null,                                          -- the file (A1 §12)
    sealed_seed bytea,
    file_name   text check (octet_length(file_name) <= 256),
    created_at  timestamptz not null,
    revoked_at  timestamptz
);
create unique index a1_passports_by_name on a1_passports (file_name) where revoked_at is null and file_name is not null;
create index a1_passports_by_holder on a1_passports (holder);
create index a1_passports_by_end on a1_passports (expires_at);

create table a1_swarms (
    swarm_id    bytea primary key check (octet_length(swarm_id) = 32),
    passport_no bigint not null references a1_passports,
    created_at  timestamptz not null
);
create index a1_swarms_by_passport on a1_swarms (passport_no);

create table a1_members (
    swarm_id    bytea not null references a1_swarms on delete cascade,
    agent       bytea not null check (octet_length(agent) = 32),         -- its public key
    role        bytea not null,                                          -- A1's own form
    issued_at   bigint not null,
    expires_at  bigint not null,
    fingerprint bytea,                                                   -- of the certificate that came with the membership
    last_seen   bigint,
    primary key (swarm_id, agent)
);
create index a1_members_by_end on a1_members (expires_at);

-- Every certificate that a passport's key issued here, so that whoever is removed takes all of them along. Forgotten when it has expired.
create table a1_certificates (
    fingerprint bytea primary key check (octet_length(fingerprint) = 32),
    passport_no bigint not null references a1_passports on delete cascade,
    agent       bytea,                                                   -- null for a root certificate
    expires_at  bigint not null
);
create index a1_certificates_by_passport on a1_certificates (passport_no, agent);
create index a1_certificates_by_end on a1_certificates (expires_at);

-- Of what may never have been seen here, so nothing says when it could be forgotten.
create table a1_revocations (
    fingerprint bytea primary key check (octet_length(fingerprint) = 32),
    revoked_at  timestamptz not null
);

-- Used nonces. use_id is the authorization's, by which a batch that is replayed after a lost connection knows its own.
create table a1_nonces (
    nonce      uuid primary key,
    use_id     uuid not null,
    keep_until bigint not null
);
create index a1_nonces_by_end on a1_nonces (keep_until);

-- Answers to authorizations with a request_id, by the SHA-256 of the request (A1 §20, Nonces).
create table a1_answers (
    request    bytea primary key,
    answer     bytea not null,
    keep_until bigint not null
);
create index a1_answers_by_end on a1_answers (keep_until);

-- Answers to requests with an Idempotency-Key: the caller's, and bound to the body.
create table a1_issued (
    caller     bigint not null,                                          -- the token; 0 where none is asked for
    request    bytea not null,                                           -- SHA-256 of the route and the key
    body       bytea not null,                                           -- SHA-256 of the body
    answer     bytea not null,
    keep_until bigint not null,
    primary key (caller, request)
);
create index a1_issued_by_end on a1_issued (keep_until);

-- The events of one batch of authorizations, a JSON object a line (A1 §19); the audit entry of kind 4 holds their SHA-256 as its root.
create table a1_events (
    writer_id uuid not null,
    entry_no  bigint not null,
    at        timestamptz not null,
    events    bytea not null,
    primary key (writer_id, entry_no)
);
create index a1_events_by_time on a1_events (at);

-- Steps 16 and 17 of A1 §9 for a batch: for each request 0 clear, 1 revoked, 2 replay. The nonces of a clear request are consumed, those of any other
-- are not. A nonce comes once in a batch. Each statement has a fresh snapshot, so what another replica committed while we waited is seen.
create function a1_consume(
    p_requests integer, p_certificate bytea[], p_certificate_of integer[], p_passport bytea[], p_passport_of integer[],
    p_nonce uuid[], p_nonce_of integer[], p_keep_until bigint[], p_use_id uuid[], out status smallint[])
language plpgsql as $$
declare
    r record;
    v_missed integer;
begin
    status := array_fill(0::smallint, array[p_requests]);
    for r in
        select distinct c.req from unnest(p_certificate, p_certificate_of) c (fingerprint, req) join a1_revocations using (fingerprint)
        union
        select p.req from unnest(p_passport, p_passport_of) p (fingerprint, req) left join a1_revocations v using (fingerprint)
        group by p.req having bool_and(v.fingerprint is not null)
    loop
        status[r.req] := 1;
    end loop;

    -- Sorted, so that no two batches wait for each other.
    with taken as (
        insert into a1_nonces (nonce, use_id, keep_until)
        select n.nonce, p_use_id[n.req], n.keep_until from unnest(p_nonce, p_nonce_of, p_keep_until) n (nonce, req, keep_until)
        where status[n.req] = 0 order by n.nonce
        on conflict do nothing returning 1)
    select (select count(*) from unnest(p_nonce_of) n (req) where status[n.req] = 0) - count(*) into v_missed from taken;
    if v_missed = 0 then
        return;
    end if;

    for r in
        select distinct n.req from unnest(p_nonce, p_nonce_of) n (nonce, req) join a1_nonces k using (nonce)
        where status[n.req] = 0 and k.use_id <> p_use_id[n.req]
    loop
        status[r.req] := 2;
    end loop;
    delete from a1_nonces k using unnest(p_nonce, p_nonce_of) n (nonce, req)
    where k.nonce = n.nonce and status[n.req] = 2 and k.use_id = p_use_id[n.req];
end
$$;
