-- What tasker.claim_ready_tasks() does with sets, for one ready row that it has locked, in statements of
-- one row. Answers no row, and has changed nothing, where the task has not started yet, or where the
-- step is in other hands or needs no claim any more. Raises what the queue raises.
create or replace function tasker.claim_one_step(
  p_row tid, p_task_uuid uuid, p_step_no int, p_priority int, p_processor text
)
returns table (
  task_uuid uuid, namespace text, queue_name text, priority int, ready_steps int,
  ready_for_ms double precision, successor_after_ms double precision, problem text
)
language plpgsql
as $$
#variable_conflict use_column
declare
  -- Read after the row, so that the step is not enqueued before its parents ended.
  v_now timestamptz := tasker.now();
  v_step record;
  v_ready record;
  v_msgs bigint[];
begin
  if not exists (
    select from tasker.tasks t where t.task_uuid = p_task_uuid and t.state <> 'pending'
  ) then
    return;
  end if;
  select s.template_id, s.state, s.attempt into v_step
  from tasker.steps s
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no
    and s.state in ('pending', 'waiting_for_retry')
  for no key update skip locked;
  if not found then
    return;
  end if;

  select ts.handler, n.namespace, n.queue_name into v_ready
  from tasker.template_steps ts
  join tasker.templates t on t.template_id = ts.template_id
  join tasker.namespaces n on n.namespace = t.namespace
  where ts.template_id = v_step.template_id and ts.step_no = p_step_no;
  v_msgs := tasker.send_messages(
    v_ready.queue_name,
    array[tasker.step_message(p_task_uuid, p_step_no, v_ready.handler, p_priority)]
  );
  update tasker.steps s set state = 'enqueued', msg_id = v_msgs[1], enqueued_at = v_now
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no;
  insert into tasker.step_log
    (task_uuid, at, step_no, attempt, from_state, to_state, actor)
  values (p_task_uuid, v_now, p_step_no, v_step.attempt, v_step.state, 'enqueued', p_processor);
  perform pg_notify('pgmq.q_' || v_ready.queue_name || '.INSERT', '');
  perform tasker.note_priorities(array[p_priority]);

  task_uuid := p_task_uuid;
  namespace := v_ready.namespace;
  queue_name := v_ready.queue_name;
  priority := p_priority;
  ready_steps := 1;
  delete from tasker.ready_steps r where r.ctid = p_row
  returning extract(epoch from v_now - r.ready_at)::double precision * 1000,
    case when r.cause = 'step_transition'
      then extract(epoch from v_now - r.ready_at)::double precision * 1000 end
  into ready_for_ms, successor_after_ms;
  return next;
end
$$;
