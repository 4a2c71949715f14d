-- Why a step is not received that a worker could receive: because of what is in the way of all such
-- steps, p_in_the_way, or of itself.
create or replace function tasker.why_enqueued(
  p_step tasker.steps, p_queue_name text, p_in_the_way jsonb
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_message record;
  v_locked jsonb;
  v_evidence jsonb := jsonb_build_object('queue_name', p_queue_name, 'msg_id', p_step.msg_id);
  v_delay interval;
begin
  if p_in_the_way is not null then
    return p_in_the_way;
  end if;
  v_message := tasker.step_in_queue(p_queue_name, p_step.msg_id);
  if v_message.msg_id is null then
    return jsonb_build_object(
      'cause', 'message_lost',
      'detail', format('message %s, which stands for it, is not in the queue %s', p_step.msg_id,
        p_queue_name),
      'action', 'make it again: tasker doctor --repair',
      'evidence', v_evidence
    );
  end if;
  v_locked := tasker.why_locked(array[
    v_message.locked_by,
    (
      select s.xmax from tasker.steps s
      where s.task_uuid = p_step.task_uuid and s.step_no = p_step.step_no
    )
  ], '{}');
  if v_locked is not null then
    return v_locked;
  end if;

  v_evidence := v_evidence || jsonb_build_object(
    'visible_at', v_message.vt, 'ahead', v_message.ahead
  );
  v_delay := v_message.vt - clock_timestamp();
  if v_delay > interval '0' then
    return jsonb_build_object(
      'cause', 'message_delayed',
      'detail', format('its message is held back for another %s ms',
        ceil(extract(epoch from v_delay) * 1000)),
      'evidence', v_evidence
    );
  end if;
  return jsonb_build_object(
    'cause', 'waits_to_be_received',
    'detail', format('it has been in the queue for %s; %s steps of its handler are ahead of it',
      tasker.in_words(tasker.now() - p_step.enqueued_at),
      case when v_message.ahead = 100 then '100 or more' else v_message.ahead::text end),
    'evidence', v_evidence
  );
end
$$;
