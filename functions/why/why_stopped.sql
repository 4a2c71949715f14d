-- Why a step waits that was tried: it failed, or its next attempt is not due. Null for others.
create or replace function tasker.why_stopped(p_step tasker.steps, p_step_name text)
returns jsonb
language plpgsql
stable
as $$
declare
  v_error text := coalesce(': ' || left(nullif(p_step.error ->> 'message', ''), 200), '');
  v_due_at timestamptz;
begin
  if p_step.state = 'error' then
    return jsonb_build_object(
      'cause', case when p_step.attempt < p_step.max_attempts then 'failed'
        else 'attempts_exhausted' end,
      'detail', format('attempt %s of %s failed%s%s', p_step.attempt, p_step.max_attempts,
        case when p_step.attempt < p_step.max_attempts then ' permanently' else ', the last one' end,
        v_error),
      'action', format('mend what failed, then: tasker step retry %1$s %2$s; or go on without it: '
        'tasker step skip %1$s %2$s', p_step.task_uuid, p_step_name),
      'evidence', jsonb_build_object(
        'attempt', p_step.attempt, 'max_attempts', p_step.max_attempts, 'error', p_step.error,
        'worker', p_step.worker, 'finished_at', p_step.finished_at
      )
    );
  elsif p_step.state = 'waiting_for_retry' then
    select w.due_at into v_due_at
    from tasker.timers w
    where w.task_uuid = p_step.task_uuid and w.step_no = p_step.step_no;
    if v_due_at > tasker.now() then
      return jsonb_build_object(
        'cause', 'waits_for_retry',
        'detail', format('attempt %s of %s is due in %s; the last one failed%s', p_step.attempt + 1,
          p_step.max_attempts, tasker.in_words(v_due_at - tasker.now()), v_error),
        'action', format('wait, or try it at once: tasker step retry %s %s', p_step.task_uuid,
          p_step_name),
        'evidence', jsonb_build_object(
          'due_at', v_due_at, 'attempt', p_step.attempt, 'max_attempts', p_step.max_attempts,
          'error', p_step.error
        )
      );
    end if;
  end if;
  return null;
end
$$;
