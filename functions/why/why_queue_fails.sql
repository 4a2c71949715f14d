-- Why the queue of a namespace cannot be used: it is missing, its index is, it is to be refilled after a
-- crash of the server, or a transaction holds its table or those that every move writes. Null where it
-- can.
create or replace function tasker.why_queue_fails(p_namespace text, p_queue_name text)
returns jsonb
language plpgsql
stable
as $$
declare
  v_table regclass := to_regclass(format('pgmq.%I', 'q_' || p_queue_name));
  v_locked jsonb := tasker.why_locked('{}', array[
    'tasker.tasks', 'tasker.steps', 'tasker.ready_steps', 'tasker.step_log',
    'tasker.task_transitions'
  ]::regclass[] || v_table);
  v_retry_at timestamptz;
begin
  if v_locked is not null then
    return v_locked;
  end if;
  if v_table is null or not tasker.has_handler_index(p_queue_name) then
    return jsonb_build_object(
      'cause', 'queue_damaged',
      'detail', format('the queue %s is missing, or its index by handler is', p_queue_name),
      'action', 'make it again: tasker doctor --repair',
      'evidence', jsonb_build_object('queue_name', p_queue_name, 'exists', v_table is not null)
    );
  end if;
  select q.retry_at into v_retry_at
  from tasker.queues_to_refill q
  where q.namespace = p_namespace;
  if v_retry_at is not null then
    return jsonb_build_object(
      'cause', 'queue_not_refilled',
      'detail', format('the queue %s lost its messages in a crash and could not be refilled yet; '
        'orchestrators try again every ten seconds, and log why they could not', p_queue_name),
      'evidence', jsonb_build_object('queue_name', p_queue_name, 'retry_at', v_retry_at)
    );
  end if;
  return null;
end
$$;
