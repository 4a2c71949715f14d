-- Runs a step again: one that failed permanently gets a fresh set of attempts and its task goes on;
-- one that waits for its retry is ready at once.
-- Raises TK404 for an unknown task or step, TK409 for a step in another state.
create or replace function tasker.retry_step(
  p_task_uuid uuid, p_step_name text, p_actor text, p_reason text default null
)
returns void
language plpgsql
as $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step tasker.steps := tasker.find_step(v_task, p_step_name);
  v_now timestamptz := tasker.now();
begin
  if v_task.state not in ('in_progress', 'error')
    or v_step.state not in ('error', 'waiting_for_retry') then
    raise exception using
      errcode = 'TK409',
      message = format(
        'step %s is %s in a task that is %s and cannot be retried',
        p_step_name, v_step.state, v_task.state
      ),
      hint = case
        when v_task.state in ('complete', 'cancelled', 'resolved_manually') then
          format('a task that is %s does not go on; submit it again', v_task.state)
        when v_step.state = 'in_progress' then
          'wait until its attempt has ended, or cancel the task'
        when v_step.state = 'enqueued' or v_step.state = 'pending' and v_step.waiting_on = 0 then
          'it runs as soon as a worker has a place for it'
        when v_step.state = 'pending' then
          'it runs once the steps it depends on have ended well; '
            'if one of those failed, retry that one'
        else 'it has ended well; submit the task again to run it again' end;
  end if;

  if v_step.state = 'waiting_for_retry' then
    delete from tasker.timers where task_uuid = p_task_uuid and step_no = v_step.step_no;
    if not found then
      return;  -- It is due already.
    end if;
  else
    update tasker.steps s
    set state = 'pending', finished_at = null,
      max_attempts = s.attempt + ts.max_attempts
    from tasker.template_steps ts
    where s.task_uuid = p_task_uuid and s.step_no = v_step.step_no
      and ts.template_id = s.template_id and ts.step_no = s.step_no;
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    values
      (p_task_uuid, v_now, v_step.step_no, v_step.attempt, 'error', 'pending', p_actor, p_reason);
    update tasker.tasks
    set state = 'in_progress', finished_at = null,
      active_steps = active_steps + 1, failed_steps = failed_steps - 1
    where task_uuid = p_task_uuid;
    if v_task.state = 'error' then
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
      values (p_task_uuid, v_now, 'error', 'in_progress', p_actor, p_reason);
    end if;
  end if;

  perform set_config(
    'tasker.moved_step', tasker.step_uuid(p_task_uuid, v_step.step_no) || ' pending', true
  );
  insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
  values (p_task_uuid, v_step.step_no, v_step.template_id, v_task.priority, v_now, 'retry');
end
$$;
