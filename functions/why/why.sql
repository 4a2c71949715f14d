-- What each step of a task waits for that has not ended, or that failed: the cause, the same in words,
-- what a person can do where it does not pass by itself, and the evidence. For one that waits for others
-- root is the step in which that wait ends. With p_step_name answers for that step and its root alone,
-- otherwise for p_limit steps at most, those that wait for no other step first. No rows where all have
-- ended well. Raises TK404 for an unknown task or step.
--
-- Waits a tenth of a second for a lock at most. All that is read is locked first: a table that is
-- locked is an answer and no error, and a queue that is rewritten meanwhile would be empty for the
-- snapshot in which all else is read.
create or replace function tasker.why(
  p_task_uuid uuid, p_step_name text default null, p_limit int default 1000
)
returns table (
  step_name text, state tasker.step_state, cause text, detail text, action text, root text,
  evidence jsonb
)
language plpgsql
set lock_timeout to '100ms'
as $$
#variable_conflict use_column
declare
  c_read constant regclass[] := array[
    'tasker.tasks', 'tasker.steps', 'tasker.ready_steps', 'tasker.timers', 'tasker.templates',
    'tasker.template_steps', 'tasker.namespaces', 'tasker.queues_to_refill', 'tasker.processes'
  ]::regclass[];
  v_table regclass;
  v_why jsonb;
  v_queue_is_readable boolean := true;
begin
  begin
    execute format('lock table %s in access share mode', array_to_string(c_read, ', '));
  exception when lock_not_available then
    v_why := coalesce(
      tasker.why_locked('{}', c_read),
      jsonb_build_object(
        'cause', 'locked', 'detail', 'the tables of tasks were locked at this moment',
        'evidence', '{}'::jsonb
      )
    );
    return query
    select null::text, null::tasker.step_state, v_why ->> 'cause', v_why ->> 'detail',
      v_why ->> 'action', null::text, v_why -> 'evidence';
    return;
  end;

  select to_regclass(format('pgmq.%I', 'q_' || n.queue_name)) into v_table
  from tasker.tasks t
  join tasker.templates tp on tp.template_id = t.template_id
  join tasker.namespaces n on n.namespace = tp.namespace
  where t.task_uuid = p_task_uuid;
  if v_table is not null then
    begin
      execute format('lock table %s in access share mode', v_table);
    exception when lock_not_available then
      v_queue_is_readable := false;
    end;
  end if;
  return query
  select w.step_name, w.state, w.cause, w.detail, w.action, w.root, w.evidence
  from tasker.why_now(p_task_uuid, p_step_name, p_limit, v_queue_is_readable) w;
end
$$;
