-- Where the sweep for tasks of a retention goes on, and keeps the sweep for the caller to the end of
-- the transaction; null where another transaction has it. See tasker.history_sweeps.
create or replace function tasker.sweep_position(p_retention interval)
returns uuid
language plpgsql
as $$
declare
  v_reached uuid;
begin
  -- Not by its row, which a sweep that begins does not have yet.
  if not pg_try_advisory_xact_lock(hashtext('tasker.sweep_position ' || p_retention)) then
    return null;
  end if;
  insert into tasker.history_sweeps (retention, reached)
  values (p_retention, '00000000-0000-0000-0000-000000000000')
  on conflict do nothing;
  select s.reached into v_reached from tasker.history_sweeps s where s.retention = p_retention;
  return v_reached;
end
$$;
