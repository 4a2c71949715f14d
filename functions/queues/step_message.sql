-- What stands for a step in its namespace's queue. Workers find messages by handler, the most urgent
-- first. The message of a step may stay when the next step of the task is started in its place.
-- Stable because jsonb_build_object() is, without which it would not be inlined.
create or replace function tasker.step_message(
  p_task_uuid uuid, p_step_no int, p_handler text, p_priority int
)
returns jsonb
language sql
stable parallel safe
as $$
  select jsonb_build_object(
    'task_uuid', p_task_uuid, 'step_no', p_step_no, 'handler', p_handler, 'priority', p_priority
  )
$$;
