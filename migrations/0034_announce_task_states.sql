-- Announces that tasks entered a state, on the global channel and their namespaces', up to 100 of a
-- namespace in a payload. Where p_state is null, the state is the one that each is in.
create function tasker.announce_task_states(
  p_task_uuids uuid[], p_state tasker.task_state default null
)
returns void
language plpgsql
as $$
declare
  c_tasks_of_a_payload constant int := 100;
  v_group record;
  v_payload text;
begin
  for v_group in
    select tp.namespace, coalesce(p_state, t.state) as state,
      array_agg(e.task_uuid order by e.task_uuid) as tasks
    from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) e
    -- By their keys, as in tasker.describe_steps().
    cross join lateral (
      select k.state, k.template_id from tasker.tasks k where k.task_uuid = e.task_uuid offset 0
    ) t
    join tasker.templates tp on tp.template_id = t.template_id
    group by 1, 2
  loop
    for v_first in 1..cardinality(v_group.tasks) by c_tasks_of_a_payload loop
      v_payload := json_strip_nulls(json_build_object(
        'task_state', v_group.state, 'namespace', v_group.namespace,
        'task_uuid', case cardinality(v_group.tasks) when v_first then v_group.tasks[v_first] end,
        'task_uuids', v_group.tasks[v_first : v_first + c_tasks_of_a_payload - 1]
      ));
      perform pg_notify(tasker.channel('task_state'), v_payload),
        pg_notify(tasker.channel('task_state', v_group.namespace), v_payload);
    end loop;
  end loop;
end
$$;
