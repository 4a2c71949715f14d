-- A task without its steps as one JSON document, for those who look at it again and again; null for an
-- unknown task. Its context is left out where it is large as it is stored. `now` is the moment of it.
create or replace function tasker.outline_task(p_task_uuid uuid)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set jit to off
as $$
declare
  -- Of a stored document that is compressed as far as it goes, this is a hundred times as much.
  c_most_bytes constant int := 32 * 1024;
begin
  return (
    select jsonb_build_object(
      'task_uuid', t.task_uuid, 'namespace', tp.namespace, 'name', tp.name, 'version', tp.version,
      'state', t.state, 'priority', t.priority,
      'created_at', t.created_at, 'started_at', t.started_at, 'finished_at', t.finished_at,
      'idempotency_key', left(t.idempotency_key, 1000), 'reason', left(t.reason, 2000),
      'context', case when pg_column_size(t.context) <= c_most_bytes then t.context end,
      'context_omitted', pg_column_size(t.context) > c_most_bytes,
      'now', tasker.now()
    )
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where t.task_uuid = p_task_uuid
  );
end
$$;
