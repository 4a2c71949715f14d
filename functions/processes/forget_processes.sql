-- Removes processes that are long gone, a few at a time, and rewrites the table where an old
-- snapshot keeps vacuum from its dead rows. Waits for no other transaction.
create or replace function tasker.forget_processes()
returns void
language plpgsql
as $$
declare
  -- Thousands of processes; reading so much takes a few milliseconds.
  c_large_bytes constant bigint := 4 * 1024 * 1024;
begin
  delete from tasker.processes p
  where p.registration_uuid = any(array(
    select f.registration_uuid from tasker.processes f
    where f.last_seen_at < clock_timestamp() - interval '60 s'
    limit 100
    for update skip locked
  ));
  if pg_relation_size('tasker.processes') > c_large_bytes then
    perform tasker.rewrite_table('tasker.processes');
  end if;
end
$$;
