-- How many retries were due more than p_overdue_ms ago and have not been made ready, by namespace; the
-- thousand that are due longest are counted.
create or replace function tasker.overdue_timers(p_overdue_ms bigint)
returns table (namespace text, timers int)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_bitmapscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_due timestamptz := tasker.now() - p_overdue_ms * interval '1 ms';
begin
  return query
  select t.namespace, count(*)::int
  from (
    select w.task_uuid from tasker.timers w
    where w.due_at < v_due
    order by w.due_at
    limit 1000
  ) w
  join tasker.tasks k on k.task_uuid = w.task_uuid
  join tasker.templates t on t.template_id = k.template_id
  group by t.namespace;
end
$$;
