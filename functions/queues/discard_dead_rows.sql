-- Answers which of the tables whose rows come and go need a vacuum before autovacuum comes: a claim
-- or a receipt walks over all rows that died at the front of an index. Where something holds back
-- vacuum, and where a table has grown too large for a vacuum between two claims, rewrites one of
-- them instead: while an old snapshot lives nothing else takes those rows away. Answers whether
-- vacuum is held back, the table that was rewritten, how many more would have had to be (many of
-- their rows live, another session keeps a lock on them, or it is the next call's turn), and the
-- tables to vacuum, quoted. Tables that cannot be measured are left out.
create or replace function tasker.discard_dead_rows(
  out held_back boolean, out written text, out remaining int, out to_vacuum text[]
)
language plpgsql
set lock_timeout to '50ms'
as $$
declare
  -- Transactions that began since: a second under full load. Nothing of ours takes so long.
  c_old_horizon constant int := 500;
  -- Ten thousand dead rows or so, which cost a claim some milliseconds.
  c_large_bytes constant bigint := 1024 * 1024;
  -- A vacuum of so much takes some milliseconds too. A larger table is rewritten, where little of it
  -- lives, and is small from then on; where much does, it is for autovacuum.
  c_small_bytes constant bigint := 64 * 1024 * 1024;
  -- Five times what a row takes: what is copied is little beside what is discarded.
  c_bytes_per_row constant int := 1000;
  -- Copying so many takes less than 100 ms.
  c_most_rows constant int := 10000;
  v_table record;
  v_most int;
  v_has_few boolean;
begin
  remaining := 0;
  to_vacuum := '{}';
  select coalesce(max(age(x.xid)), 0) > c_old_horizon into held_back
  from (
    select x.xid from pg_stat_activity a, unnest(array[a.backend_xmin, a.backend_xid]) as x(xid)
    -- A standby that sends feedback has no database.
    where a.datname is null or a.datname = current_database()
    union all select xmin from pg_replication_slots
    union all select transaction from pg_prepared_xacts where database = current_database()
  ) as x(xid);
  perform set_config('synchronous_commit', 'off', true);
  for v_table in
    select t.name, tasker.table_bytes(t.name) as bytes
    from unnest(tasker.queue_tables()) as t(name)
    order by bytes desc nulls last
  loop
    exit when v_table.bytes is null;
    if not held_back and v_table.bytes between c_large_bytes / 2 and c_small_bytes then
      to_vacuum := to_vacuum || v_table.name::text;
    end if;
    continue when v_table.bytes < case when held_back then c_large_bytes else c_small_bytes end;

    v_most := least(c_most_rows, v_table.bytes / c_bytes_per_row);
    v_has_few := false;
    begin
      execute format('select count(*) <= $1 from (select from %s limit $1 + 1) few', v_table.name)
      into v_has_few using v_most;
    exception when lock_not_available then
      null;
    end;
    -- One a call, because its lock lasts until the commit.
    if written is null and v_has_few and tasker.rewrite_table(v_table.name) then
      written := v_table.name;
    else
      remaining := remaining + 1;
    end if;
  end loop;
end
$$;
