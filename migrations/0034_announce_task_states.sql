-- Announces that tasks of a namespace entered a state, on the global channel and the namespace's, up
-- to 100 in a payload. Nothing in it needs to be escaped: namespaces and states are plain words.
create function tasker.announce_task_state(
  p_namespace text, p_state tasker.task_state, p_task_uuids uuid[]
)
returns void
language plpgsql
as $$
declare
  c_tasks_of_a_payload constant int := 100;
  v_count int := cardinality(p_task_uuids);
  v_payload text;
begin
  for v_first in 1..v_count by c_tasks_of_a_payload loop
    v_payload := '{"task_state":"' || p_state || '","namespace":"' || p_namespace
      || case when v_count = 1 then '","task_uuid":"' || p_task_uuids[1] else '' end
      || '","task_uuids":["'
      || array_to_string(p_task_uuids[v_first : v_first + c_tasks_of_a_payload - 1], '","')
      || '"]}';
    perform pg_notify(tasker.channel('task_state'), v_payload),
      pg_notify(tasker.channel('task_state', p_namespace), v_payload);
  end loop;
end
$$;

-- Announces that tasks entered a state. Where p_state is null, the state is the one that each is in.
create function tasker.announce_task_states(
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
