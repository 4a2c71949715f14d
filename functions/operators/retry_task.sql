-- Runs the failed steps of a task again with fresh attempts each; only p_step_name where that is given.
-- Raises TK404 for an unknown task, TK409 where no such step has failed or the task has ended otherwise.
create or replace function tasker.retry_task(
  p_task_uuid uuid, p_actor text, p_reason text default null, p_step_name text default null
)
returns void
language plpgsql
as $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step text;
begin
  for v_step in
    select ts.name
    from tasker.steps s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    where s.task_uuid = p_task_uuid and s.state = 'error'
      and (p_step_name is null or ts.name = p_step_name)
    order by s.step_no
  loop
    perform tasker.retry_step(p_task_uuid, v_step, p_actor, p_reason);
  end loop;
  if not found then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and has no failed step to retry', p_task_uuid, v_task.state);
  end if;
end
$$;
