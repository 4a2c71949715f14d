-- Settles a step that is not running without its handler: `skipped` leaves it out, and
-- `resolved_manually` gives it its result. Its dependents go on as if it were complete.
-- Raises TK404 for an unknown task or step, TK409 for a step that runs or has ended well.
create or replace function tasker.settle_step(
  p_task_uuid uuid, p_step_name text, p_state tasker.step_state, p_result jsonb,
  p_actor text, p_reason text default null
)
returns void
language plpgsql
as $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step tasker.steps := tasker.find_step(v_task, p_step_name);
  v_now timestamptz := tasker.now();
  v_ready int;
  v_active int;
  v_failed int;
  v_end tasker.task_state;
begin
  if v_task.state not in ('pending', 'in_progress', 'error')
    or v_step.state not in ('pending', 'enqueued', 'waiting_for_retry', 'error') then
    raise exception using
      errcode = 'TK409',
      message = format(
        'step %s is %s in a task that is %s and cannot be settled by hand',
        p_step_name, v_step.state, v_task.state
      ),
      hint = case
        when v_task.state in ('complete', 'cancelled', 'resolved_manually') then
          format('a task that is %s does not go on; submit it again', v_task.state)
        when v_step.state = 'in_progress' then
          'wait until its attempt has ended, or cancel the task'
        else 'it has ended well, and keeps its result' end;
  end if;

  update tasker.steps
  set state = p_state, result = coalesce(p_result, 'null'),
    result_bytes = pg_column_size(coalesce(p_result, 'null')), error = null, msg_id = null,
    finished_at = v_now
  where task_uuid = p_task_uuid and step_no = v_step.step_no;
  insert into tasker.step_log
    (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
  values (
    p_task_uuid, v_now, v_step.step_no, v_step.attempt, v_step.state, p_state, p_actor, p_reason
  );
  delete from tasker.timers where task_uuid = p_task_uuid and step_no = v_step.step_no;
  -- Rows that a claim holds at this moment are not waited for: it finds them void.
  delete from tasker.ready_steps where ctid = any(array(
    select ctid from tasker.ready_steps
    where task_uuid = p_task_uuid and step_no = v_step.step_no
    for update skip locked
  ));

  perform set_config(
    'tasker.moved_step', tasker.step_uuid(p_task_uuid, v_step.step_no) || ' ' || p_state, true
  );
  v_ready := cardinality((tasker.free_dependents(
    array[p_task_uuid], array[v_step.step_no], array[v_step.template_id], v_now,
    p_result_bytes => array[pg_column_size(coalesce(p_result, 'null'))]
  )).ready_tasks);
  v_active := v_task.active_steps + v_ready - case
    when v_step.state in ('enqueued', 'waiting_for_retry') then 1
    when v_step.state = 'pending' and v_step.waiting_on = 0 then 1
    else 0
  end;
  v_failed := v_task.failed_steps - (v_step.state = 'error')::int;
  v_end := case when v_active > 0 then null when v_failed > 0 then 'error' else 'complete' end;

  update tasker.tasks
  set state = coalesce(v_end, 'in_progress'), active_steps = v_active, failed_steps = v_failed,
    started_at = coalesce(started_at, v_now),
    finished_at = case when v_end is not null then v_now end
  where task_uuid = p_task_uuid;
  if v_task.state <> 'in_progress' and v_task.state is distinct from v_end then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
    values (p_task_uuid, v_now, v_task.state, 'in_progress', p_actor, p_reason);
  end if;
  if v_task.state is distinct from v_end and v_end is not null then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
    values (p_task_uuid, v_now, 'in_progress', v_end, p_actor, p_reason);
  end if;

  if v_step.msg_id is not null then
    perform tasker.delete_messages(n.queue_name, array[v_step.msg_id])
    from tasker.templates t join tasker.namespaces n on n.namespace = t.namespace
    where t.template_id = v_task.template_id;
  end if;
end
$$;
