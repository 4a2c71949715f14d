-- What the p_tasks tasks wait for that were submitted longest ago and have not ended: each cause with
-- how many of them have it, and the oldest of these, with what is said of it there. Of each task up to
-- ten steps are looked at that wait for no other step.
create or replace function tasker.why_longest(p_tasks int)
returns table (cause text, tasks int, task_uuid uuid, detail text, action text)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_bitmapscan to off
set jit to off
as $$
#variable_conflict use_column
begin
  return query
  select w.cause, count(distinct t.task_uuid)::int, (array_agg(t.task_uuid order by t.task_uuid))[1],
    (array_agg(w.detail order by t.task_uuid))[1], (array_agg(w.action order by t.task_uuid))[1]
  from (
    select o.task_uuid from tasker.tasks o
    -- In the order of rows that only the index has which is meant; see tasker.count_unfinished().
    where o.listed_as <> 'complete'
      and (o.listed_as, o.task_uuid) >= ('in_progress', '00000000-0000-0000-0000-000000000000')
      and (o.listed_as, o.task_uuid) <= ('in_progress', 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by o.listed_as, o.task_uuid
    limit p_tasks
  ) t
  cross join lateral tasker.why(t.task_uuid, null, 10) w
  where w.cause <> 'waits_for_steps'
  group by w.cause
  order by 2 desc, 1;
end
$$;
