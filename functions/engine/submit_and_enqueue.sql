-- What tasker.submit_tasks() does, for an orchestrator that takes submissions: in the namespaces that it
-- serves (null for all) it starts the tasks and enqueues their first steps in the same transaction. The
-- answer is in the order of the input.
--
-- Announces a single task that it started. All others the caller announces once it has committed: those
-- that were created, that were started (with the queue that they are in), and that are ready.
-- Raises what tasker.submit_tasks() raises; lock_not_available where an idempotency key or a queue is in the
-- hands of another transaction for longer than p_lock_timeout_ms; and whatever a queue in trouble raises.
create or replace function tasker.submit_and_enqueue(
  p_tasks jsonb, p_processor text, p_namespaces text[] default null,
  p_lock_timeout_ms int default null
)
returns table (task_uuid uuid, created boolean, context_differs boolean, enqueued_in text)
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
  select c.task_uuid, c.created, c.context_differs, c.enqueued_in
  from tasker.create_tasks(p_tasks, p_processor, p_namespaces) c
  order by c.position;
  perform set_config('lock_timeout', v_lock_timeout, true);
  perform set_config('tasker.announce', v_announce, true);
end
$$;
