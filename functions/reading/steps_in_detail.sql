-- These steps of a task as JSON documents, in the order of their numbers. Of an error that says much the
-- beginning is there; inputs and results only where they have p_most_bytes at most.
create or replace function tasker.steps_in_detail(
  p_task_uuid uuid, p_step_nos int[], p_most_bytes int default 0
)
returns setof jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
begin
  return query
  select jsonb_build_object(
    'step_no', s.step_no, 'name', ts.name, 'state', s.state, 'handler', ts.handler,
    'timeout_ms', ts.timeout_ms, 'attempts', s.attempt, 'max_attempts', s.max_attempts,
    'worker', s.worker, 'enqueued_at', s.enqueued_at, 'started_at', s.started_at,
    'finished_at', s.finished_at, 'retry_at', r.due_at,
    'error', case when s.state <> 'in_progress' then
      left(concat_ws(': ', s.error ->> 'kind', s.error ->> 'message'), 300)
    end,
    'depends_on', case when p_most_bytes > 0 then ts.depends_on else '{}' end,
    'dependents', case when p_most_bytes > 0 then ts.dependents else '{}' end,
    'input', case when pg_column_size(ts.input) <= p_most_bytes then ts.input end,
    'result', case when s.result_bytes <= p_most_bytes then s.result end,
    'result_bytes', s.result_bytes
  )
  from unnest(p_step_nos) as n(step_no)
  join tasker.steps s on s.task_uuid = p_task_uuid and s.step_no = n.step_no
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join tasker.timers r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
  order by s.step_no;
end
$$;
