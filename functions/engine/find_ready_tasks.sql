-- Looks at the p_limit most urgent ready steps and answers the tasks of those that have been ready
-- for longer than p_age_ms, the most urgent first. Reads no more rows than that, however many are
-- ready: while the most urgent are young, claims keep up, and what is behind them gets its turn.
-- With p_namespaces it looks in those alone; tasker.tasker_ready_tasks is this without bounds. Volatile,
-- so that it sees a table that was rewritten while it waited for it.
create or replace function tasker.find_ready_tasks(
  p_age_ms bigint, p_limit int, p_namespaces text[] default null
)
returns table (
  task_uuid uuid, namespace text, priority int, ready_steps int, ready_since timestamptz,
  ready_for_ms double precision
)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_sort to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
begin
  return query
  select r.task_uuid, t.namespace, r.priority, count(*)::int, min(r.ready_at),
    extract(epoch from v_now - min(r.ready_at))::double precision * 1000
  from (
    select * from (
      select f.* from tasker.ready_steps f
      where p_namespaces is null
      order by f.priority desc, f.ready_no
      limit p_limit
    ) everywhere
    union all
    select * from (
      select f.*
      from unnest(tasker.ready_templates(p_namespaces)) as w(template_id)
      cross join lateral (
        select * from tasker.ready_steps r
        where r.template_id = w.template_id
        order by r.priority desc, r.ready_no
        limit p_limit
      ) f
      where p_namespaces is not null
      order by f.priority desc, f.ready_no
      limit p_limit
    ) there
  ) r
  join tasker.templates t on t.template_id = r.template_id
  where r.ready_at <= v_now - p_age_ms * interval '1 ms'
  group by r.task_uuid, t.namespace, r.priority
  order by r.priority desc, min(r.ready_no);
end
$$;
