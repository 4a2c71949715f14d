-- Marks a failed task as dealt with outside of the system; it leaves the list of failures.
-- Raises TK404 for an unknown task, TK409 for one that is not in error.
create or replace function tasker.resolve_task(
  p_task_uuid uuid, p_actor text, p_reason text default null
)
returns void
language plpgsql
as $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
begin
  if v_task.state <> 'error' then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and cannot be resolved by hand', p_task_uuid, v_task.state),
      hint = 'only a task in error can be';
  end if;
  update tasker.tasks set state = 'resolved_manually', reason = p_reason
  where task_uuid = p_task_uuid;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, tasker.now(), 'error', 'resolved_manually', p_actor, p_reason);
end
$$;
