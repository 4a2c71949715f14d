-- What tasker.receive_from_queue() does with sets, for the one message that it took: starts an attempt of
-- its step, in statements of one row. Answers the bytes that the step is given; null, and nothing has
-- changed, where the message does not stand for an enqueued step that may be given as much.
create or replace function tasker.receive_one_step(
  p_queue_name text, p_task_uuid uuid, p_step_no int, p_msg_id bigint, p_worker text,
  p_lease_ms bigint, p_most_bytes bigint
)
returns bigint
language plpgsql
as $$
declare
  v_now timestamptz := tasker.now();
  v_step record;
  v_timeout_ms int;
begin
  -- The message was taken together with the lock of its step, if it has one.
  update tasker.steps s
  set state = 'in_progress', attempt = s.attempt + 1, receipt = s.receipt + 1, started_at = v_now,
    worker = p_worker, error = null
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no and s.msg_id = p_msg_id
    and s.state = 'enqueued' and s.input_bytes <= p_most_bytes
  returning s.template_id, s.attempt, s.input_bytes into v_step;
  if not found then
    return null;
  end if;
  insert into tasker.step_log
    (task_uuid, at, step_no, attempt, from_state, to_state, actor)
  values (p_task_uuid, v_now, p_step_no, v_step.attempt, 'enqueued', 'in_progress', p_worker);

  select ts.timeout_ms into v_timeout_ms
  from tasker.template_steps ts
  where ts.template_id = v_step.template_id and ts.step_no = p_step_no;
  if v_timeout_ms + tasker.timeout_grace_ms() < p_lease_ms then
    perform tasker.delay_messages(
      p_queue_name, array[p_msg_id], v_timeout_ms + tasker.timeout_grace_ms()
    );
  end if;
  return v_step.input_bytes;
end
$$;
