-- A step of a task by its name, as tasker.get_task() has it, with its result however large that is.
-- Raises TK404 for an unknown task or step.
create or replace function tasker.get_step(p_task_uuid uuid, p_step_name text)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set jit to off
as $$
begin
  return tasker.get_task(p_task_uuid, tasker.step_no(p_task_uuid, p_step_name)) #> '{steps,0}';
end
$$;
