-- Messages are inserted, read, and dropped with their week (ADR 0031). Vacuuming what was only inserted costs 4 µs a message and gives nothing that is needed
-- here: retention comes long before old transaction ids do, and PostgreSQL vacuums for these in any case. What it learns of a table changes little after its first days.
create or replace function make_partitions(p_week integer) returns boolean language plpgsql as $$
declare
    v_from bigint := (p_week::bigint * 7) << 40;
    v_to   bigint := ((p_week::bigint + 1) * 7) << 40;
    v_name text;
begin
    if to_regclass(format('deliveries_w%s', lpad(p_week::text, 4, '0'))) is not null then
        return false;
    end if;
    foreach v_name in array array['messages', 'deliveries'] loop
        execute format('create table %I (like %I including all)', v_name || '_w' || lpad(p_week::text, 4, '0'), v_name);
        execute format('alter table %I set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.05)',
                       v_name || '_w' || lpad(p_week::text, 4, '0'));
        execute format('alter table %I attach partition %I for values from (%s) to (%s)', v_name, v_name || '_w' || lpad(p_week::text, 4, '0'), v_from, v_to);
    end loop;
    execute format('alter table %I set (autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0.5)', 'messages_w' || lpad(p_week::text, 4, '0'));
    execute format('alter table %I set (fillfactor = 85)', 'deliveries_w' || lpad(p_week::text, 4, '0'));
    return true;
end
$$;

do $$
declare
    v_table text;
begin
    for v_table in select inhrelid::regclass from pg_inherits where inhparent = 'messages'::regclass loop
        execute format('alter table %s set (autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0.5)', v_table);
    end loop;
end
$$;
