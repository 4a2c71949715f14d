-- Announces tasks that got ready steps, each with how many and perhaps the step whose move readied
-- them, on the global channel and their namespaces'. A task of its namespace alone has the payload
-- of tasker.readiness_payload(); of several, up to 36 share one that says what they have in common
-- and, under tasks, all there is of each. A task takes at most 208 bytes, so that is below the 8,000
-- of a payload. Nothing in it needs to be escaped: namespaces and states are plain words.
create or replace function tasker.announce_ready_tasks(
  p_task_uuids uuid[], p_ready_steps bigint[], p_step_uuids uuid[], p_step_state text,
  p_triggered_by text
)
returns void
language plpgsql
as $$
begin
  perform pg_notify(c.channel, chunk.payload)
  from (
    select n.namespace,
      case count(*)
        when 1 then tasker.readiness_payload(
          min(n.task_uuid::text)::uuid, n.namespace, min(n.priority), min(n.ready_steps),
          p_triggered_by, min(n.step_uuid::text)::uuid, p_step_state, min(n.state)::text
        )
        else format(
          '{"task_count":%s,"namespace":"%s","priority":%s,"ready_steps":%s,"triggered_by":"%s",'
            '"tasks":[%s]}',
          count(*), n.namespace, max(n.priority), sum(n.ready_steps), p_triggered_by,
          string_agg(
            '{"task_uuid":"' || n.task_uuid || '","priority":' || n.priority
              || ',"ready_steps":' || n.ready_steps || ',"task_state":"' || n.state
              || coalesce('","step_uuid":"' || n.step_uuid || '","step_state":"' || p_step_state, '')
              || '"}',
            ',' order by n.task_uuid
          )
        )
      end as payload
    from (
      select r.task_uuid, r.ready_steps, r.step_uuid, t.priority, t.state, tp.namespace,
        (row_number() over (partition by tp.namespace order by r.task_uuid) - 1) / 36 as chunk_no
      from unnest(p_task_uuids, p_ready_steps, p_step_uuids)
        as r(task_uuid, ready_steps, step_uuid)
      -- By their keys, as in tasker.describe_steps().
      cross join lateral (
        select k.state, k.priority, k.template_id from tasker.tasks k
        where k.task_uuid = r.task_uuid
        offset 0
      ) t
      join tasker.templates tp on tp.template_id = t.template_id
    ) n
    group by n.namespace, n.chunk_no
  ) chunk
  cross join lateral (values
    (tasker.channel('task_ready')), (tasker.channel('task_ready', chunk.namespace))
  ) as c(channel);
end
$$;
