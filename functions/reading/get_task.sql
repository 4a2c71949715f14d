-- A task with its steps as one JSON document, from one snapshot; null for an unknown task. Where the
-- results of its steps are very large together they are left out, and results_omitted says so; with
-- p_step_no the document has that step alone, and its result in any case. While a step runs it has no
-- error: that of the attempt before is in the history. In plpgsql because that keeps its plan for the
-- session.
create or replace function tasker.get_task(p_task_uuid uuid, p_step_no int default null)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  -- PostgreSQL builds no document above 256 MB; long before that it takes the memory of the program
  -- that reads it, which holds it several times over, as text with up to six bytes for one.
  c_most_bytes constant bigint := 32 * 1024 * 1024;
  v_omits_results boolean := false;
begin
  if p_step_no is null then
    select coalesce(sum(result_bytes), 0) > c_most_bytes into v_omits_results
    from tasker.steps
    where task_uuid = p_task_uuid;
  end if;

  return (
    select jsonb_build_object(
      'task_uuid', t.task_uuid, 'namespace', tp.namespace, 'name', tp.name, 'version', tp.version,
      'state', t.state, 'priority', t.priority, 'context', t.context,
      'idempotency_key', t.idempotency_key, 'reason', t.reason,
      'created_at', t.created_at, 'started_at', t.started_at, 'finished_at', t.finished_at,
      'execution_status', case t.state when 'complete' then 'all_complete' else (
        select execution_status from tasker.get_task_execution_context(t.task_uuid)
      ) end,
      'results_omitted', v_omits_results,
      'steps', (
        select jsonb_agg(
          jsonb_build_object(
            'name', ts.name, 'step_uuid', tasker.step_uuid(s.task_uuid, s.step_no),
            'state', s.state, 'handler', ts.handler, 'input', ts.input,
            'depends_on', case ts.depends_on when '{}' then '{}' else array(
              select p.name from tasker.template_steps p
              where p.template_id = ts.template_id and p.step_no = any(ts.depends_on)
              order by p.step_no
            ) end,
            'attempts', s.attempt, 'max_attempts', s.max_attempts,
            'result', case when not v_omits_results then s.result end,
            'result_bytes', s.result_bytes,
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
          and s.step_no between coalesce(p_step_no, 1) and coalesce(p_step_no, 65535)
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
