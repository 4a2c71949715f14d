-- Makes the messages that are missing in a queue of a namespace: one for each step that is enqueued,
-- and one for each that a worker holds, which comes back after p_lease_ms unless that worker extends
-- its lease. Wakes the workers, and answers how many messages it made.
create or replace function tasker.refill_queue(p_namespace text, p_lease_ms int)
returns int
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to on
set jit to off
as $$
declare
  v_queue text := (select queue_name from tasker.namespaces where namespace = p_namespace);
  v_tasks uuid[];
  v_priorities int[];
  v_made int;
begin
  -- Steps move under the lock of their task, so none ends between the look at it and its message.
  select array_agg(a.task_uuid), array_agg(a.priority) into v_tasks, v_priorities
  from (
    select t.task_uuid, t.priority
    from tasker.tasks t
    where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
      and t.template_id = any(array(
        select template_id from tasker.templates where namespace = p_namespace
      ))
    order by t.task_uuid
    for no key update
  ) a;
  execute format(
    'insert into pgmq.%I (msg_id, vt, message) overriding system value
    select s.msg_id,
      clock_timestamp() + case s.state when ''in_progress'' then $3 else 0 end * interval ''1 ms'',
      tasker.step_message(s.task_uuid, s.step_no, ts.handler, w.priority)
    from unnest($1, $2) as w(task_uuid, priority)
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = w.task_uuid and s.msg_id is not null
      offset 0
    ) s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    order by s.enqueued_at
    on conflict do nothing', 'q_' || v_queue
  ) using v_tasks, v_priorities, p_lease_ms;
  get diagnostics v_made = row_count;
  delete from tasker.queues_to_refill where namespace = p_namespace;
  perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
  return v_made;
end
$$;
