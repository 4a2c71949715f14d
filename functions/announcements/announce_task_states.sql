-- Announces that tasks entered a state. Where p_state is null, the state is the one that each is in.
create or replace function tasker.announce_task_states(
  p_task_uuids uuid[], p_state tasker.task_state default null
)
returns void
language plpgsql
as $$
begin
  if cardinality(p_task_uuids) = 1 then
    -- Most often. To group costs more than all the rest.
    perform tasker.announce_task_state(tp.namespace, coalesce(p_state, t.state), p_task_uuids)
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where t.task_uuid = p_task_uuids[1];
    return;
  end if;

  perform tasker.announce_task_state(g.namespace, g.state, g.tasks)
  from (
    select tp.namespace, coalesce(p_state, t.state) as state,
      array_agg(e.task_uuid order by e.task_uuid) as tasks
    from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) e
    -- By their keys, as in tasker.describe_steps().
    cross join lateral (
      select k.state, k.template_id from tasker.tasks k where k.task_uuid = e.task_uuid offset 0
    ) t
    join tasker.templates tp on tp.template_id = t.template_id
    group by 1, 2
  ) g;
end
$$;
