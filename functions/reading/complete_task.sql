-- A task that is complete, a row for each of its steps: what a client that waited for it is answered, at
-- half the cost of tasker.get_task(), which says the same. No row for any other task. Context, idempotency
-- key, reason and template are in the row of the first step alone; depends_on has numbers of steps. Where the
-- results are very large together, each row says so and has none.
create or replace function tasker.complete_task(p_task_uuid uuid)
returns table (
  namespace text, name text, version text, priority int, context text, idempotency_key text,
  reason text, created_at timestamptz, started_at timestamptz, finished_at timestamptz,
  results_omitted boolean, step_no int, step_name text, state text, handler text, input text,
  depends_on int[], attempts int, max_attempts int, result text, result_bytes int, error text,
  worker text, step_enqueued_at timestamptz, step_started_at timestamptz,
  step_finished_at timestamptz
)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  -- As in tasker.get_task().
  c_most_bytes constant bigint := 32 * 1024 * 1024;
begin
  return query
  select f.namespace, f.name, f.version, t.priority, f.context::text, f.idempotency_key, f.reason,
    t.created_at, t.started_at, t.finished_at, o.omits, s.step_no, ts.name, s.state::text,
    ts.handler, ts.input::text, ts.depends_on, s.attempt, s.max_attempts,
    case when not o.omits then s.result::text end, s.result_bytes, s.error::text, s.worker,
    s.enqueued_at, s.started_at, s.finished_at
  from tasker.tasks t
  cross join (
    select coalesce(sum(r.result_bytes), 0) > c_most_bytes as omits
    from tasker.steps r
    where r.task_uuid = p_task_uuid
  ) o
  join tasker.steps s on s.task_uuid = t.task_uuid
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join lateral (
    select tp.namespace, tp.name, tp.version, t.context, t.idempotency_key, t.reason
    from tasker.templates tp
    where s.step_no = 1 and tp.template_id = t.template_id
  ) f on true
  where t.task_uuid = p_task_uuid and t.state = 'complete';
end
$$;
