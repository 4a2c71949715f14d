-- Deletes the idempotency keys of tasks that are gone, except those submitted less than p_retention
-- before p_now: they still answer with their task's UUID, until tasker.forget_keys() deletes them.
create or replace function tasker.retire_keys(
  p_task_uuids uuid[], p_template_ids int[], p_keys text[], p_submitted_at timestamptz[],
  p_retention interval, p_now timestamptz
)
returns void
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
begin
  insert into tasker.kept_keys (forget_at, task_uuid, namespace, name, idempotency_key)
  select g.submitted_at + p_retention, g.task_uuid, t.namespace, t.name, g.idempotency_key
  from unnest(p_task_uuids, p_template_ids, p_keys, p_submitted_at)
    as g(task_uuid, template_id, idempotency_key, submitted_at)
  join tasker.templates t on t.template_id = g.template_id
  where g.idempotency_key is not null and g.submitted_at + p_retention > p_now;

  delete from tasker.idempotency_keys k
  using unnest(p_task_uuids, p_template_ids, p_keys, p_submitted_at)
      as g(task_uuid, template_id, idempotency_key, submitted_at),
    tasker.templates t
  where t.template_id = g.template_id and g.submitted_at + p_retention <= p_now
    and k.namespace = t.namespace and k.name = t.name and k.idempotency_key = g.idempotency_key
    and k.task_uuid = g.task_uuid;
end
$$;
