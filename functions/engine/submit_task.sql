-- Submits one task in the caller's transaction and answers its UUID; the first task's, where the
-- idempotency key is known; with p_on_conflict => 'reject' not if that has another context. Raises what tasker.submit_tasks raises.
create or replace function tasker.submit_task(
  p_namespace text,
  p_name text,
  p_context jsonb default '{}',
  p_version text default null,
  p_priority int default 0,
  p_idempotency_key text default null,
  p_on_conflict text default null
)
returns uuid
language plpgsql
as $$
begin
  return (
    select task_uuid
    from tasker.submit_tasks(jsonb_build_array(jsonb_build_object(
      'namespace', p_namespace, 'name', p_name, 'version', p_version, 'context', p_context,
      'priority', p_priority, 'idempotency_key', p_idempotency_key,
      'on_conflict', p_on_conflict
    )))
  );
end
$$;
