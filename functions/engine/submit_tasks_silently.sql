-- What tasker.submit_tasks does, for a caller that announces the tasks once it has committed, with
-- tasker.announce. The answer is in the order of the input.
-- Raises what that raises; and lock_not_available where an idempotency key is in the hands of
-- another transaction for longer than p_lock_timeout_ms, so that it does not hold up the tasks beside it.
create or replace function tasker.submit_tasks_silently(
  p_tasks jsonb, p_lock_timeout_ms int default null
)
returns table (task_uuid uuid, created boolean, context_differs boolean)
language plpgsql
as $$
declare
  v_announce text := tasker.suppress_notify();
  v_lock_timeout text := current_setting('lock_timeout');
begin
  if p_lock_timeout_ms is not null then
    perform set_config('lock_timeout', p_lock_timeout_ms::text, true);
  end if;
  return query
  select s.task_uuid, s.created, s.context_differs
  from tasker.submit_tasks(p_tasks) s
  order by s.position;
  perform set_config('lock_timeout', v_lock_timeout, true);
  perform set_config('tasker.announce', v_announce, true);
end
$$;
