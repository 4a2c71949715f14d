-- Announces that tasks were submitted and started in the same transaction: both states of each.
create or replace function tasker.announce_started_tasks(p_task_uuids uuid[])
returns void
language plpgsql
as $$
begin
  perform tasker.announce_task_state(g.namespace, 'pending', g.tasks),
    tasker.announce_task_state(g.namespace, 'in_progress', g.tasks)
  from (
    select tp.namespace, array_agg(e.task_uuid) as tasks
    from unnest(p_task_uuids) as e(task_uuid)
    -- By their keys, as in tasker.describe_steps().
    cross join lateral (
      select k.template_id from tasker.tasks k where k.task_uuid = e.task_uuid offset 0
    ) t
    join tasker.templates tp on tp.template_id = t.template_id
    group by 1
  ) g;
end
$$;
