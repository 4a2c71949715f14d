-- For how long tasks that ended are kept, for each template and outcome that has a limit: what the
-- template says wins over its namespace in p_retention, and that over the default there. p_retention
-- is the section `retention` of the configuration; 0 keeps for ever.
create or replace function tasker.retention_rules(p_retention jsonb)
returns table (template_id int, outcome tasker.task_state, retention interval)
language sql
stable
as $$
  select t.template_id, o.outcome, make_interval(hours => r.hours)
  from tasker.templates t
  cross join unnest(
    array['complete', 'error', 'cancelled', 'resolved_manually']::tasker.task_state[]
  ) as o(outcome)
  cross join lateral (
    select t.body #>> array['retention', o.outcome::text] as written
  ) w
  cross join lateral (
    select coalesce(
      left(w.written, -1)::int * case right(w.written, 1) when 'd' then 24 else 1 end,
      24 * (p_retention #>> array['namespaces', t.namespace, o.outcome || '_days'])::int,
      24 * (p_retention ->> (o.outcome || '_days'))::int
    ) as hours
  ) r
  where r.hours > 0
$$;
