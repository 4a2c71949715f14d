-- All steps of a task in the order of their numbers, with what a drawing of them needs and nothing that
-- can be large.
create or replace function tasker.outline_steps(p_task_uuid uuid)
returns table (step_no int, name text, state text, attempt int, depends_on int[])
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
begin
  return query
  select s.step_no, ts.name, s.state::text, s.attempt, ts.depends_on
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  where s.task_uuid = p_task_uuid
  order by s.step_no;
end
$$;
