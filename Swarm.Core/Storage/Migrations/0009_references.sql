-- What messages refer to (ASP §3): filled by the Worker behind the accept, which knows nothing of it (ADR 0020).
create table message_references (
    message_no bigint not null,
    ordinal    smallint not null,                     -- place in the message's list
    swarm_no   bigint,
    kind       smallint not null,                     -- 1 repository, 2 issue, 3 pull request, 4 commit
    repo       text not null check (octet_length(repo) <= 256),
    number     bigint,
    sha        text check (octet_length(sha) <= 64),
    action     smallint,
    actor      text check (octet_length(actor) <= 256),  -- of what moves a claim: the member whose claim it is
    primary key (message_no, ordinal)
);
create index message_references_by_item on message_references (lower(repo), kind, number, message_no);
create index message_references_by_claim on message_references (swarm_no, lower(repo), kind, number, actor, message_no) where actor is not null;
create index message_references_claims on message_references (message_no, ordinal) where actor is not null;

-- How far the messages are indexed. Numbers are taken before the commit, so a smaller one may appear after a larger one: up to done_to everything
-- is indexed for good. mark_no was the newest number that was taken when mark_transactions were running: when these have ended, nothing
-- can appear below it any more. While they have not, what is already there is indexed early, up to seen_to.
create table reference_index (
    only_row          boolean primary key default true check (only_row),
    done_to           bigint not null default -1,
    seen_to           bigint not null default -1,
    mark_no           bigint,
    mark_transactions text[]
);

-- No number above it has been handed out yet, and none up to it will be. Of a sequence that was never asked, last_value is what comes first.
create function newest_message_no() returns bigint language sql volatile
return (select (message_day(clock_timestamp()) << 40) + last_value + case when is_called then 511 else -1 end from message_no_blocks);

-- The transactions in which somebody may have taken a number by now. pg_locks is current, pg_stat_activity is what it was when this transaction
-- first looked: who is not in it yet counts, and only who is certainly in another database, or no client, does not.
create function running_transactions() returns text[] language sql volatile
return array(select l.virtualxid from pg_locks l left join pg_stat_activity a on a.pid = l.pid
             where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock' and l.pid <> pg_backend_pid()
               and (a.pid is null or (a.datid = (select oid from pg_database where datname = current_database())
                                      and coalesce(a.backend_type, 'client backend') = 'client backend')));

-- The GitHub monitor (ASP §18): where each feed of a repository stands, and what is to be told to whom.
create table github_feeds (
    repo     text not null check (octet_length(repo) <= 256),
    feed     text not null check (octet_length(feed) <= 64),
    baseline timestamptz not null,                                 -- what was before is never told
    position text not null check (octet_length(position) <= 64),   -- a time or a number of GitHub's, by feed
    url      text check (octet_length(url) <= 2048),
    etag     text check (octet_length(etag) <= 512),               -- of url, whose answer held nothing after position
    primary key (repo, feed)
);

create table github_events (
    event_no    bigint generated always as identity primary key,
    event_key   text not null unique check (octet_length(event_key) <= 512),
    repo        text not null check (octet_length(repo) <= 256),
    number      bigint not null,
    coordinator text not null check (octet_length(coordinator) <= 256),
    notice      text not null,                                     -- JSON, as it is sent
    event_type  text not null check (octet_length(event_type) <= 64),
    url         text not null check (octet_length(url) <= 2048),
    found_at    timestamptz not null,
    state       smallint not null,                                 -- 0 to be sent, 1 sent, 2 only recorded
    attempts    integer not null default 0,
    due_at      timestamptz not null,
    sent_at     timestamptz,
    last_error  text check (octet_length(last_error) <= 1024)
);
create index github_events_due on github_events (due_at) where state = 0;
create index github_events_sent on github_events (repo, number, sent_at) where sent_at is not null;
create index github_events_old on github_events (found_at);

create table github_monitor (
    only_row     boolean primary key default true check (only_row),
    paused_until timestamptz,                                      -- GitHub asked to wait until then
    last_poll_at timestamptz
);
