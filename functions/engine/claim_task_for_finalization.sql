-- Ends a task of which nothing can move though it does not say so, and answers whether this call
-- did, and the state it is in now. The transaction that ends a task's last step ends the task with
-- it, so there is nothing to do unless rows were changed by hand or a counter is wrong: this
-- recounts, puts the counters right, and ends the task if no step of it is ready, enqueued, in
-- progress or waiting for a retry. Of any number of callers at once one is told that it did.
-- Raises TK404 for an unknown task, TK409 for one whose steps wait for each other for no reason,
-- which no end would fit.
create or replace function tasker.claim_task_for_finalization(
  p_task_uuid uuid, p_processor text, out finalized boolean, out state tasker.task_state
)
language plpgsql
as $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_now timestamptz := tasker.now();
  v_active int;
  v_failed int;
  v_waiting int;
begin
  finalized := false;
  state := v_task.state;
  if v_task.state not in ('pending', 'in_progress') then
    return;
  end if;

  select
    count(*) filter (
      where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
        or s.state = 'pending' and s.waiting_on = 0
    ),
    count(*) filter (where s.state = 'error'),
    count(*) filter (where s.state = 'pending' and s.waiting_on > 0)
  into v_active, v_failed, v_waiting
  from tasker.steps s
  where s.task_uuid = p_task_uuid;
  if v_active > 0 then
    update tasker.tasks t set active_steps = v_active, failed_steps = v_failed
    where t.task_uuid = p_task_uuid
      and (t.active_steps, t.failed_steps) is distinct from (v_active, v_failed);
    return;
  end if;
  if v_failed = 0 and v_waiting > 0 then
    raise exception using
      errcode = 'TK409',
      message = format('task %s cannot be ended: %s of its steps wait for others, but none of '
        'those can move and none failed', p_task_uuid, v_waiting),
      hint = '`tasker doctor` names what is wrong with them';
  end if;

  finalized := true;
  state := case when v_failed > 0 then 'error' else 'complete' end;
  update tasker.tasks t
  set state = claim_task_for_finalization.state, active_steps = 0, failed_steps = v_failed,
    started_at = coalesce(t.started_at, v_now), finished_at = v_now
  where t.task_uuid = p_task_uuid;
  if v_task.state = 'pending' then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    values (p_task_uuid, v_now, 'pending', 'in_progress', p_processor);
  end if;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, v_now, 'in_progress', state, p_processor, 'nothing of it could move');
end
$$;
