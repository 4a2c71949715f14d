-- Locks a task, as everything does that changes it or its steps, and answers it.
-- Raises TK404 when there is none.
create or replace function tasker.lock_task(p_task_uuid uuid)
returns tasker.tasks
language plpgsql
as $$
declare
  v_task tasker.tasks;
begin
  select * into v_task from tasker.tasks where task_uuid = p_task_uuid for no key update;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  return v_task;
end
$$;
