-- Why a step that a worker could receive is not received: one that is enqueued, or one whose lease is
-- over, since when it is again.
create or replace function tasker.why_enqueued(
  p_step tasker.steps, p_namespace text, p_queue_name text, p_handler text,
  out cause text, out detail text, out action text, out evidence jsonb
)
language plpgsql
stable
as $$
declare
  v_message record;
  v_holder jsonb;
  v_wait interval;
begin
  select w.cause, w.detail, w.action, w.evidence into cause, detail, action, evidence
  from tasker.why_queue_fails(p_namespace, p_queue_name) w;
  if cause is not null then
    return;
  end if;
  v_message := tasker.step_in_queue(p_queue_name, p_step.msg_id);
  if v_message.msg_id is null then
    cause := 'message_lost';
    detail := format('message %s, which stands for it, is not in the queue %s', p_step.msg_id,
      p_queue_name);
    action := 'make it again: tasker doctor --repair';
    evidence := jsonb_build_object('queue_name', p_queue_name, 'msg_id', p_step.msg_id);
    return;
  end if;
  select w.cause, w.detail, w.action, w.evidence into cause, detail, action, evidence
  from tasker.why_nobody_receives(p_namespace, p_handler) w;
  if cause is not null then
    return;
  end if;
  v_holder := tasker.lock_holder(array[
    v_message.locked_by,
    (
      select s.xmax from tasker.steps s
      where s.task_uuid = p_step.task_uuid and s.step_no = p_step.step_no
    )
  ], '{}');
  if v_holder is not null then
    cause := 'locked';
    detail := v_holder ->> 'words';
    action := v_holder ->> 'action';
    evidence := v_holder - '{words,action}'::text[];
    return;
  end if;

  evidence := jsonb_build_object(
    'queue_name', p_queue_name, 'msg_id', p_step.msg_id, 'handler', p_handler,
    'visible_at', v_message.vt, 'ahead', v_message.ahead
  );
  action := 'none: a worker receives it';
  v_wait := v_message.vt - clock_timestamp();
  if v_wait > interval '0' then
    cause := 'message_delayed';
    detail := format('its message is held back for another %s ms',
      ceil(extract(epoch from v_wait) * 1000));
    return;
  end if;
  cause := 'waits_to_be_received';
  detail := format('it has been in the queue for %s; %s%s steps of its handler are ahead of it',
    tasker.in_words(tasker.now() - p_step.enqueued_at), v_message.ahead,
    case when v_message.ahead = 1000 then ' or more' else '' end);
end
$$;
