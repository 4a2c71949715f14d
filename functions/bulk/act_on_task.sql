-- Does to one task what an act is about: cancels it, resolves it, or retries the steps of it that failed,
-- only p_step_name where that is given. Answers done; refused, where its state does not allow it any
-- more; or held, where another transaction holds it, or its queue is in trouble; and why.
create or replace function tasker.act_on_task(
  p_task_uuid uuid, p_action text, p_step_name text, p_actor text, p_reason text,
  out outcome text, out problem text
)
language plpgsql
as $$
begin
  perform from tasker.tasks where task_uuid = p_task_uuid for no key update skip locked;
  if not found then
    outcome := 'held';
    problem := format('another transaction holds task %s', p_task_uuid);
    return;
  end if;
  case p_action
    when 'retry' then
      perform tasker.retry_task(p_task_uuid, p_actor, p_reason, p_step_name);
    when 'cancel' then
      perform tasker.cancel_task(p_task_uuid, p_actor, p_reason);
    when 'resolve' then
      perform tasker.resolve_task(p_task_uuid, p_actor, p_reason);
  end case;
  outcome := 'done';
exception
  when sqlstate 'TK409' then
    outcome := 'refused';
    problem := sqlerrm;
  -- What is wrong with one task is not to stop what is done to all others.
  when others then
    outcome := 'held';
    problem := format('task %s: %s', p_task_uuid, sqlerrm);
end
$$;
