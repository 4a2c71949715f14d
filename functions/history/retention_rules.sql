-- For how long tasks that ended are kept, for each template and outcome that has a limit: what the
-- template says wins over its namespace in p_retention, and that over the default there. p_retention
-- is the section `retention` of the configuration; 0 keeps for ever, and so does what cannot be read in
-- a template that was stored without the checks of its YAML.
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
    select case
      when w.written is null then 24 * coalesce(
        p_retention #>> array['namespaces', t.namespace, o.outcome || '_days'],
        p_retention ->> (o.outcome || '_days')
      )::int
      when w.written ~ '^[0-9]{1,6}[dh]$'
        then left(w.written, -1)::int * case right(w.written, 1) when 'd' then 24 else 1 end
      else 0
    end as hours
  ) r
  where r.hours > 0
$$;
