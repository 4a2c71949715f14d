-- What tasker.prune_tasks() would delete in the end, by namespace and outcome, and an estimate of the
-- bytes that it takes: its share of the tables, by tasks and steps. Reads all tasks.
create or replace function tasker.prunable_tasks(p_retention jsonb)
returns table (
  namespace text, outcome text, tasks bigint, oldest_finished_at timestamptz, bytes bigint
)
language sql
volatile
as $$
  with moment as materialized (
    select tasker.now() as now
  ), tally as materialized (
    select t.template_id, t.state,
      t.active_steps = 0 and coalesce(t.finished_at < m.now - r.retention, false) as is_due,
      count(*) as tasks, min(t.finished_at) as oldest, count(*) * (3 + 5 * tp.step_count) as rows
    from tasker.tasks t
    cross join moment m
    join tasker.templates tp on tp.template_id = t.template_id
    left join tasker.retention_rules(p_retention) r
      on r.template_id = t.template_id and r.outcome = t.state
    group by 1, 2, 3, tp.step_count
  ), size as (
    select pg_total_relation_size('tasker.tasks') + pg_total_relation_size('tasker.steps')
      + pg_total_relation_size('tasker.task_transitions')
      + pg_total_relation_size('tasker.step_log') as bytes,
      (select sum(rows) from tally) as rows
  )
  select tp.namespace, y.state::text, sum(y.tasks)::bigint, min(y.oldest),
    (s.bytes * sum(y.rows) / s.rows)::bigint
  from tally y
  join tasker.templates tp on tp.template_id = y.template_id
  cross join size s
  where y.is_due
  group by tp.namespace, y.state, s.bytes, s.rows
  order by tp.namespace, y.state
$$;
