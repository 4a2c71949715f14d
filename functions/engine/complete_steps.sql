-- Records the outcomes of attempts, as tasker.complete_steps_and_enqueue() does, and leaves what they make
-- ready to claims. The form that workers of the protocol's version 1 call.
create or replace function tasker.complete_steps(
  p_worker text,
  p_task_uuids uuid[],
  p_step_nos int[],
  p_receipts int[],
  p_msg_ids bigint[],
  p_namespaces text[],
  p_outcomes text[],
  p_payloads jsonb[],
  p_delays_ms bigint[],
  p_continue boolean[] default null,
  p_handlers text[] default null,
  p_lease_ms bigint default null,
  p_skip_locked boolean default false
)
returns table (
  stale int[], locked int[], ready_tasks uuid[], finished_tasks uuid[], cancelled_tasks uuid[],
  woken_queues text[], timer_set boolean,
  task_uuid uuid, step_no int, msg_id bigint, namespace text, template text, step_name text,
  handler text, attempt int, receipt int, max_attempts int, timeout_ms int, priority int,
  context jsonb, input jsonb, dependency_results jsonb, expired text, input_bytes bigint,
  problem text
)
language plpgsql
as $$
#variable_conflict use_column
begin
  -- Where a step may follow, that has a row of its own here.
  if cardinality(p_task_uuids) = 1 and p_handlers is null and not p_skip_locked then
    return query
    select c.stale, c.locked, c.ready_tasks, c.finished_tasks, c.cancelled_tasks, c.woken_queues,
      c.timer_set, c.task_uuid, c.step_no, c.msg_id, c.namespace, c.template, c.step_name, c.handler,
      c.attempt, c.receipt, c.max_attempts, c.timeout_ms, c.priority, c.context, c.input,
      c.dependency_results, c.expired, c.input_bytes, c.problem
    from tasker.complete_one_step(
      p_worker, p_task_uuids[1], p_step_nos[1], p_receipts[1], p_msg_ids[1], p_namespaces[1],
      p_outcomes[1], p_payloads[1], p_delays_ms[1], p_continue[1], p_handlers, p_lease_ms, false
    ) c;
    return;
  end if;
  return query
  select c.stale, c.locked, c.ready_tasks, c.finished_tasks, c.cancelled_tasks, c.woken_queues,
    c.timer_set, c.task_uuid, c.step_no, c.msg_id, c.namespace, c.template, c.step_name, c.handler,
    c.attempt, c.receipt, c.max_attempts, c.timeout_ms, c.priority, c.context, c.input,
    c.dependency_results, c.expired, c.input_bytes, c.problem
  from tasker.complete_steps_and_enqueue(
    p_worker, p_task_uuids, p_step_nos, p_receipts, p_msg_ids, p_namespaces, p_outcomes, p_payloads,
    p_delays_ms, p_continue, p_handlers, p_lease_ms, p_skip_locked, false
  ) c;
end
$$;
