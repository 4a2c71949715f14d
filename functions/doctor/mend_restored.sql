-- Puts right what tasker.restored_findings() finds in a restored database: messages that queues lack,
-- and numbers that their rows are ahead of. And it fences off workers that ran on the database after
-- the backup and may come back with outcomes of attempts that this one knows nothing of: an outcome
-- names its message and its receipt, and no number that was given since will be given again.
create or replace function tasker.mend_restored()
returns void
language plpgsql
as $$
declare
  -- More messages than a queue gets between a backup and its restore: a century at 100,000 a second is
  -- 3e14, of 9e18 that there are.
  c_skipped constant bigint := 1000000000000;
  -- More attempts than a step gets.
  c_skipped_receipts constant int := 1000000;
  v_queue record;
  v_log text;
  v_highest bigint;
  v_sequence regclass;
begin
  perform tasker.refill_queues();
  -- Steps that wait are fenced too: one may be handed on the message of the step before it.
  with open as (
    select t.task_uuid from tasker.tasks t
    where t.listed_as in ('in_progress', 'cancelled', 'error')
    order by t.task_uuid
    for no key update
  )
  update tasker.steps s set receipt = s.receipt + c_skipped_receipts
  from open o
  where s.task_uuid = o.task_uuid
    and s.state in ('pending', 'enqueued', 'in_progress', 'waiting_for_retry', 'error');
  for v_queue in select n.namespace, n.queue_name from tasker.namespaces n order by 1 loop
    perform tasker.repair_queue(v_queue.namespace);
    v_sequence := pg_get_serial_sequence(format('pgmq.%I', 'q_' || v_queue.queue_name), 'msg_id');
    execute format('select coalesce(max(msg_id), 0) from pgmq.%I', 'q_' || v_queue.queue_name)
    into v_highest;
    perform setval(v_sequence, greatest(nextval(v_sequence), v_highest) + c_skipped);
  end loop;
  foreach v_log in array array['task_transitions', 'step_log'] loop
    execute format('select coalesce(max(transition_no), 0) from tasker.%I', v_log)
    into v_highest;
    v_sequence := pg_get_serial_sequence('tasker.' || v_log, 'transition_no');
    if v_highest > coalesce(pg_sequence_last_value(v_sequence), 0) then
      perform setval(v_sequence, v_highest);
    end if;
  end loop;
  delete from tasker.processes p where not tasker.is_live(p.last_seen_at);
end
$$;
