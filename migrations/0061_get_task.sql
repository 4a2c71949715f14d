-- A task with its steps as one JSON document, from one snapshot; null for an unknown task. While a
-- step runs it has no error: that of the attempt before is in the history. In plpgsql because that
-- keeps its plan for the session.
create function tasker.get_task(p_task_uuid uuid)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
begin
  return (
    select jsonb_build_object(
      'task_uuid', t.task_uuid, 'namespace', tp.namespace, 'name', tp.name, 'version', tp.version,
      'state', t.state, 'priority', t.priority, 'context', t.context,
      'idempotency_key', t.idempotency_key, 'reason', t.reason,
      'created_at', t.created_at, 'started_at', t.started_at, 'finished_at', t.finished_at,
      'execution_status', (
        select execution_status from tasker.get_task_execution_context(t.task_uuid)
      ),
      'steps', (
        select jsonb_agg(
          jsonb_build_object(
            'name', ts.name, 'step_uuid', tasker.step_uuid(s.task_uuid, s.step_no),
            'state', s.state, 'handler', ts.handler, 'input', ts.input,
            'depends_on', array(
              select p.name from tasker.template_steps p
              where p.template_id = ts.template_id and p.step_no = any(ts.depends_on)
              order by p.step_no
            ),
            'attempts', s.attempt, 'max_attempts', s.max_attempts,
            'result', s.result,
            'error', case when s.state <> 'in_progress' then s.error end, 'worker', s.worker,
            'enqueued_at', s.enqueued_at, 'started_at', s.started_at, 'finished_at', s.finished_at,
            'retry_at', r.due_at,
            'waits_for', case when s.state = 'enqueued' and ts.handler <> all(k.handlers) then
              'worker_for_handler'
            end
          )
          order by s.step_no
        )
        from tasker.steps s
        join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
        left join tasker.timers r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
        where s.task_uuid = t.task_uuid
      )
    )
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    cross join lateral (
      select case when t.active_steps > 0 then tasker.known_handlers(tp.namespace) end as handlers
      offset 0
    ) k
    where t.task_uuid = p_task_uuid
  );
end
$$;
