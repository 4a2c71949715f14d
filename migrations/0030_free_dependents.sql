-- Tells the dependents of steps that have just been satisfied: each waits on one less, and those
-- that wait on none are ready. Answers the task of each step that became ready.
-- The caller holds the locks of the tasks. In plpgsql because that keeps its plans for the session.
create function tasker.free_dependents(
  p_task_uuids uuid[], p_step_nos int[], p_template_ids int[], p_now timestamptz
)
returns uuid[]
language plpgsql
as $$
declare
  v_task_uuids uuid[];
begin
  with freed as (
    select d.task_uuid, e.step_no, count(*)::int as parents
    from unnest(p_task_uuids, p_step_nos, p_template_ids) as d(task_uuid, step_no, template_id)
    join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
    cross join unnest(ts.dependents) as e(step_no)
    group by d.task_uuid, e.step_no
  ), counted as (
    update tasker.steps s
    set waiting_on = s.waiting_on - f.parents
    from freed f
    where s.task_uuid = f.task_uuid and s.step_no = f.step_no
    returning s.task_uuid, s.step_no, s.template_id, s.waiting_on, s.state
  ), made_ready as (
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
    select c.task_uuid, c.step_no, c.template_id, t.priority, p_now
    from counted c
    join tasker.tasks t on t.task_uuid = c.task_uuid
    where c.waiting_on = 0 and c.state = 'pending'
    returning task_uuid
  )
  select coalesce(array_agg(task_uuid), '{}') into v_task_uuids from made_ready;
  return v_task_uuids;
end
$$;
