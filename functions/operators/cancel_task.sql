-- Cancels a task: steps that have not started never will, and those that failed stay as they are.
-- Running handlers are notified; what they still return is kept. Repeated, it changes nothing.
-- Raises TK404 for an unknown task, TK409 for one that ended otherwise.
create or replace function tasker.cancel_task(
  p_task_uuid uuid, p_actor text, p_reason text default null
)
returns void
language plpgsql
as $$
declare
  v_task tasker.tasks;
  v_now timestamptz;
  v_queue text;
  v_msgs bigint[];
begin
  v_task := tasker.lock_task(p_task_uuid);
  if v_task.state = 'cancelled' then
    return;
  end if;
  if v_task.state not in ('pending', 'in_progress', 'error') then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and cannot be cancelled', p_task_uuid, v_task.state);
  end if;
  v_now := tasker.now();

  with waiting as (
    select s.step_no, s.state, s.msg_id from tasker.steps s
    where s.task_uuid = p_task_uuid and s.state in ('pending', 'enqueued', 'waiting_for_retry')
    order by s.step_no
    for no key update
  ), stopped as (
    update tasker.steps s set state = 'cancelled', msg_id = null, finished_at = v_now
    from waiting w
    where s.task_uuid = p_task_uuid and s.step_no = w.step_no
    returning s.step_no, s.attempt, w.state, w.msg_id
  ), logged as (
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    select p_task_uuid, v_now, step_no, attempt, state, 'cancelled', p_actor, p_reason
    from stopped
  )
  select array_agg(msg_id) filter (where msg_id is not null) into v_msgs from stopped;

  delete from tasker.timers where task_uuid = p_task_uuid;
  -- Rows that a claim holds at this moment are not waited for: it finds them void.
  delete from tasker.ready_steps where ctid = any(array(
    select ctid from tasker.ready_steps
    where task_uuid = p_task_uuid
    for update skip locked
  ));

  update tasker.tasks
  set state = 'cancelled', finished_at = v_now, reason = p_reason,
    active_steps = (
      select count(*) from tasker.steps where task_uuid = p_task_uuid and state = 'in_progress'
    )
  where task_uuid = p_task_uuid;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, v_now, v_task.state, 'cancelled', p_actor, p_reason);

  if v_msgs is not null then
    select n.queue_name into v_queue
    from tasker.templates t join tasker.namespaces n on n.namespace = t.namespace
    where t.template_id = v_task.template_id;
    perform tasker.delete_messages(v_queue, v_msgs);
  end if;
end
$$;
