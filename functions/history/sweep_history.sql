-- Goes a part of the sweep of a retention as tasker.prune_tasks() does, and notes how far it has come; see
-- tasker.history_sweeps. Does nothing where another transaction is on it.
create or replace function tasker.sweep_history(
  p_retention jsonb, p_sweep interval, p_most_tasks int, p_archive text
)
returns table (
  reached uuid, task_uuids uuid[], namespaces text[], outcomes text[], documents text[],
  too_large int
)
language plpgsql
as $$
#variable_conflict use_column
declare
  v_after uuid := tasker.sweep_position(p_sweep);
  v_before uuid;
begin
  too_large := 0;
  if v_after is null then
    return next;
    return;
  end if;
  -- What was submitted later than that ended later too.
  v_before := tasker.first_task_uuid(tasker.now() - case p_sweep
    when interval '0' then (select min(r.retention) from tasker.retention_rules(p_retention) r)
    else p_sweep
  end);
  select * into reached, task_uuids, namespaces, outcomes, documents, too_large
  from tasker.prune_tasks(p_retention, v_after, v_before, p_most_tasks, p_archive);
  update tasker.history_sweeps s
  set reached = coalesce(
    sweep_history.reached,
    case p_sweep when interval '0' then '00000000-0000-0000-0000-000000000000'
      else greatest(v_after::text, v_before::text)::uuid end
  )
  where s.retention = p_sweep;
  return next;
end
$$;
