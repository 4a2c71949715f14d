-- Checks the invariants of a live database in one snapshot and names what breaks them. Meanwhile no
-- table of it is rewritten: it would look empty.
create or replace function tasker.doctor()
returns table (check_name text, task_uuid uuid, step_name text, detail text)
language plpgsql
as $$
declare
  v_table regclass;
begin
  perform set_config('lock_timeout', '5s', true);
  foreach v_table in array tasker.queue_tables() loop
    begin
      execute format('lock table %s in access share mode', v_table);
    exception
      -- The check of queues reports it.
      when insufficient_privilege then
        null;
      when lock_not_available then
        -- However many are locked, the call waits for one.
        perform set_config('lock_timeout', '10ms', true);
    end;
  end loop;
  return query select * from tasker.findings();
end
$$;
