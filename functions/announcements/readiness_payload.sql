-- What the announcement of one task with ready steps says. Far from the 8,000 bytes of a payload,
-- because a namespace has at most 29 characters.
create or replace function tasker.readiness_payload(
  p_task_uuid uuid, p_namespace text, p_priority int, p_ready_steps bigint,
  p_triggered_by text, p_step_uuid uuid, p_step_state text, p_task_state text
)
returns text
language sql
stable parallel safe
as $$
  select json_strip_nulls(json_build_object(
    'task_count', 1,
    'task_uuid', p_task_uuid,
    'namespace', p_namespace,
    'priority', p_priority,
    'ready_steps', p_ready_steps,
    'triggered_by', p_triggered_by,
    'step_uuid', p_step_uuid,
    'step_state', case when p_step_uuid is not null then p_step_state end,
    'task_state', p_task_state
  ))::text
$$;
