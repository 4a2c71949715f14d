-- Stores samples of latencies, and answers how many. The latency of one that has none is the time for
-- which its step was enqueued, unless another attempt of it runs meanwhile. Samples of tasks that are
-- gone are passed over. Not durable by itself.
create or replace function tasker.record_samples(
  p_events text[], p_task_uuids uuid[], p_step_nos int[], p_receipts int[],
  p_priority_classes text[], p_latencies_ms double precision[], p_weights double precision[],
  p_failed boolean[]
)
returns bigint
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_now timestamptz := tasker.now();
  v_stored bigint;
begin
  perform set_config('synchronous_commit', 'off', true);
  perform tasker.add_statistics_partition((v_now at time zone 'utc')::date);

  with sample as (
    select p.*
    from unnest(
      p_events, p_task_uuids, p_step_nos, p_receipts, p_priority_classes, p_latencies_ms, p_weights,
      p_failed
    ) as p(event, task_uuid, step_no, receipt, priority_class, latency_ms, weight, failed)
  )
  insert into tasker.statistics_samples
    (at, latency_ms, weight, template_id, step_no, event, priority_class, failed)
  select v_now, l.latency_ms, p.weight, t.template_id, p.step_no, p.event::tasker.timed_event,
    p.priority_class::tasker.priority_class, p.failed
  from sample p
  cross join lateral (
    select t.template_id from tasker.tasks t where t.task_uuid = p.task_uuid offset 0
  ) t
  left join lateral (
    select extract(epoch from s.started_at - s.enqueued_at) * 1000 as enqueued_ms
    from tasker.steps s
    where p.latency_ms is null
      and s.task_uuid = p.task_uuid and s.step_no = p.step_no and s.receipt = p.receipt
    offset 0
  ) s on true
  cross join lateral (
    select greatest(coalesce(p.latency_ms, s.enqueued_ms), 0) as latency_ms
    where coalesce(p.latency_ms, s.enqueued_ms) is not null
  ) l;
  get diagnostics v_stored = row_count;
  return v_stored;
end
$$;
