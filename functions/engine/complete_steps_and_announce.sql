-- What tasker.complete_steps_and_enqueue() does with one outcome, announced in the same transaction: for a worker that
-- has nothing else to report. A commit that notifies holds up all others that do until it is flushed,
-- so who reports much announces afterwards.
create or replace function tasker.complete_steps_and_announce(
  p_worker text, p_task_uuid uuid, p_step_no int, p_receipt int, p_msg_id bigint,
  p_namespace text, p_outcome text, p_payload jsonb, p_delay_ms bigint,
  p_continue boolean default null, p_handlers text[] default null, p_lease_ms bigint default null,
  p_enqueues boolean default true, p_room int default 0
)
returns table (
  stale int[], locked int[], ready_tasks uuid[], finished_tasks uuid[], cancelled_tasks uuid[],
  woken_queues text[], timer_set boolean, enqueued_steps int,
  task_uuid uuid, step_no int, msg_id bigint, namespace text, template text, step_name text,
  handler text, attempt int, receipt int, max_attempts int, timeout_ms int, priority int,
  context jsonb, input jsonb, dependency_results jsonb, expired text, input_bytes bigint,
  problem text
)
language plpgsql
as $$
begin
  perform set_config('tasker.announces_moves', 'on', true);
  return query
  select c.*
  from tasker.complete_steps_and_enqueue(
    p_worker, array[p_task_uuid], array[p_step_no], array[p_receipt], array[p_msg_id],
    array[p_namespace], array[p_outcome], array[p_payload], array[p_delay_ms],
    array[p_continue], p_handlers, p_lease_ms, false, p_enqueues, p_room
  ) c;
  perform set_config('tasker.announces_moves', '', true);
end
$$;
