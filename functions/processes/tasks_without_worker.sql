-- Those of the tasks, which are on one page of a list, that have an enqueued step whose handler no
-- live worker of their namespace knows. Of each task the first two hundred such steps of its template
-- are looked at.
create or replace function tasker.tasks_without_worker(p_task_uuids uuid[])
returns uuid[]
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_group record;
  v_known text[];
  v_steps int[];
  v_waiting uuid[] := '{}';
begin
  for v_group in
    select tp.namespace, tp.template_id, array_agg(w.task_uuid) as tasks
    from unnest(p_task_uuids) as w(task_uuid)
    cross join lateral (
      select t.template_id from tasker.tasks t
      where t.task_uuid = w.task_uuid and t.state = 'in_progress'
      offset 0
    ) t
    join tasker.templates tp on tp.template_id = t.template_id
    group by tp.namespace, tp.template_id
  loop
    v_known := tasker.known_handlers(v_group.namespace);
    v_steps := array(
      select ts.step_no from tasker.template_steps ts
      where ts.template_id = v_group.template_id and ts.handler <> all(v_known)
      order by ts.step_no
      limit 200
    );
    continue when v_steps = '{}';
    v_waiting := v_waiting || array(
      select w.task_uuid from unnest(v_group.tasks) as w(task_uuid)
      where exists (
        select from tasker.steps s
        where s.task_uuid = w.task_uuid and s.step_no = any(v_steps) and s.state = 'enqueued'
      )
    );
  end loop;
  return v_waiting;
end
$$;
