-- Of each of the tasks a number that is another one after it or one of its steps moved.
create or replace function tasker.change_marks(p_task_uuids uuid[])
returns table (task_uuid uuid, mark bigint)
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
  select t.task_uuid, hashtextextended(t.state || m.steps, 0)
  from unnest(p_task_uuids) as w(task_uuid)
  join tasker.tasks t on t.task_uuid = w.task_uuid
  cross join lateral (
    select coalesce(string_agg(s.state || ' ' || s.attempt, ',' order by s.step_no), '') as steps
    from tasker.steps s
    where s.task_uuid = t.task_uuid
    offset 0
  ) m;
end
$$;
