-- Why the queue of a namespace cannot be used: it is missing, its index is, it is to be refilled after a
-- crash of the server, or somebody holds its table or those that every move writes. Nothing where it can.
create or replace function tasker.why_queue_fails(
  p_namespace text, p_queue_name text,
  out cause text, out detail text, out action text, out evidence jsonb
)
language plpgsql
stable
as $$
declare
  v_table regclass := to_regclass(format('pgmq.%I', 'q_' || p_queue_name));
  v_retry_at timestamptz;
  v_holder jsonb := tasker.lock_holder('{}', array[
    'tasker.tasks', 'tasker.steps', 'tasker.ready_steps', 'tasker.step_transitions',
    'tasker.task_transitions'
  ]::regclass[] || v_table);
begin
  select q.retry_at into v_retry_at
  from tasker.queues_to_refill q
  where q.namespace = p_namespace;
  if v_holder is not null then
    cause := 'locked';
    detail := v_holder ->> 'words';
    action := v_holder ->> 'action';
    evidence := v_holder - '{words,action}'::text[];
  elsif v_table is null or not tasker.has_handler_index(p_queue_name) then
    cause := 'queue_damaged';
    detail := format('the queue %s is missing, or its index by handler is', p_queue_name);
    action := 'make it again: tasker doctor --repair';
    evidence := jsonb_build_object('queue_name', p_queue_name, 'is_there', v_table is not null);
  elsif v_retry_at is not null then
    cause := 'queue_not_refilled';
    detail := format('the queue %s lost its messages in a crash and could not be refilled yet',
      p_queue_name);
    action := 'none: an orchestrator tries again every ten seconds, and logs why it could not';
    evidence := jsonb_build_object('queue_name', p_queue_name, 'retry_at', v_retry_at);
  end if;
end
$$;
