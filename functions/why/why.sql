-- What each step of a task waits for that has not ended, or that failed and holds up others: the cause,
-- in words, what can be done, and the evidence. A step that waits for others names the root of its wait
-- and why that is not done. With p_step_name answers for that step and its root alone, otherwise for
-- p_limit steps at most, those that wait for no other step first. No rows where all have ended well.
-- Raises TK404 for an unknown task or step.
--
-- Waits a tenth of a second for a lock at most. The queue is locked first, because one that is
-- rewritten meanwhile is empty for the snapshot in which all else is read.
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
  v_table regclass;
  v_holder jsonb;
  v_queue_is_readable boolean := true;
begin
  begin
    lock table tasker.tasks, tasker.steps, tasker.ready_steps, tasker.timers in access share mode;
  exception when lock_not_available then
    v_holder := tasker.lock_holder('{}', array[
      'tasker.tasks', 'tasker.steps', 'tasker.ready_steps', 'tasker.timers'
    ]::regclass[]);
    return query
    select null::text, null::tasker.step_state, 'locked',
      coalesce(v_holder ->> 'words', 'the tables of tasks were locked at this moment'),
      coalesce(v_holder ->> 'action', 'none: ask again in a moment'), null::text,
      coalesce(v_holder - '{words,action}'::text[], '{}');
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
