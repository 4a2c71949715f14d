-- Announces that tasks entered a state, on the global channel and their namespaces', up to 100 of a
-- namespace in a payload. Where p_state is null, the state is the one that each is in.
create function tasker.announce_task_states(
  p_task_uuids uuid[], p_state tasker.task_state default null
)
returns void
language plpgsql
as $$
begin
  perform pg_notify(c.channel, json_strip_nulls(json_build_object(
    'task_state', chunk.state, 'namespace', chunk.namespace,
    'task_uuid', case cardinality(chunk.task_uuids) when 1 then chunk.task_uuids[1] end,
    'task_uuids', chunk.task_uuids
  ))::text)
  from (
    select n.namespace, n.state, array_agg(n.task_uuid order by n.task_uuid) as task_uuids
    from (
      select e.task_uuid, coalesce(p_state, t.state) as state, tp.namespace,
        (row_number() over (
          partition by tp.namespace, coalesce(p_state, t.state) order by e.task_uuid
        ) - 1) / 100 as chunk_no
      from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) e
      -- By their keys, as in tasker.describe_steps().
      cross join lateral (
        select k.state, k.template_id from tasker.tasks k
        where k.task_uuid = e.task_uuid
        offset 0
      ) t
      join tasker.templates tp on tp.template_id = t.template_id
    ) n
    group by n.namespace, n.state, n.chunk_no
  ) chunk
  cross join lateral (values
    (tasker.channel('task_state')), (tasker.channel('task_state', chunk.namespace))
  ) as c(channel);
end
$$;
