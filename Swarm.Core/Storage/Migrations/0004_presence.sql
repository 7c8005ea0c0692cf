-- When an agent was last seen. Not logged: a crash of the database forgets it, and nothing depends on it (ADR 0013). Rows are overwritten
-- every half minute, so pages keep room for the next version.
create unlogged table presence (
    agent_no bigint primary key,
    seen_at timestamptz not null
) with (fillfactor = 50);
