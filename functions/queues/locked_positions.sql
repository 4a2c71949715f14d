-- The positions of steps (from 1) that another transaction holds, themselves or their task. Locks all
-- others, the tasks first.
create or replace function tasker.locked_positions(p_task_uuids uuid[], p_step_nos int[])
returns int[]
language plpgsql
as $$
declare
  v_tasks uuid[];
  v_steps uuid[];
begin
  v_tasks := array(
    select t.task_uuid from tasker.tasks t
    where t.task_uuid = any(p_task_uuids)
    order by t.task_uuid
    for no key update skip locked
  );
  v_steps := array(
    select tasker.step_uuid(s.task_uuid, s.step_no)
    from unnest(p_task_uuids, p_step_nos) as r(task_uuid, step_no)
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = r.task_uuid and s.step_no = r.step_no and s.task_uuid = any(v_tasks)
      for no key update skip locked
    ) s
  );
  return array(
    select r.position::int
    from unnest(p_task_uuids, p_step_nos) with ordinality as r(task_uuid, step_no, position)
    where tasker.step_uuid(r.task_uuid, r.step_no) <> all(v_steps)
      and exists (
        select from tasker.steps s where s.task_uuid = r.task_uuid and s.step_no = r.step_no
      )
    order by 1
  );
end
$$;
