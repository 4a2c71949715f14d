-- Extends the leases of running steps by p_lease_ms from this moment, but not beyond the end of
-- their timeout. Answers the positions (from 1) whose work is no longer wanted: `stale` when the
-- receipt is not the worker's any more, `cancelled` when the task was cancelled; the lease of the
-- latter is extended all the same, so that the handler can wind down undisturbed. And those whose
-- lease could not be extended, as where the queue is damaged: `failed`, with the reason behind a colon.
--
-- Locks no step, and waits for no message that another transaction holds: that transaction records its
-- outcome. Where that is done, there is no message left; where it was handed on, a dependent in the
-- same hands has its lease extended.
create or replace function tasker.extend_leases(
  p_worker text, p_task_uuids uuid[], p_step_nos int[], p_receipts int[], p_lease_ms bigint
)
returns table ("position" int, reason text)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_material to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
  v_group record;
  v_problem text;
begin
  perform set_config('synchronous_commit', 'off', true);

  for v_group in
    with held as materialized (
      select s.step_no, s.template_id, s.msg_id, s.started_at, l.position
      from unnest(p_task_uuids, p_step_nos, p_receipts) with ordinality
        as l(task_uuid, step_no, receipt, position)
      join tasker.steps s on s.task_uuid = l.task_uuid and s.step_no = l.step_no
        and s.receipt = l.receipt and s.state = 'in_progress' and s.worker = p_worker
    ), extended as (
      select n.queue_name, h.msg_id, h.position,
        least(
          p_lease_ms,
          extract(epoch from
            h.started_at + (ts.timeout_ms + tasker.timeout_grace_ms()) * interval '1 ms' - v_now
          ) * 1000
        )::bigint as extension_ms
      from held h
      join tasker.templates t on t.template_id = h.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      join tasker.template_steps ts on ts.template_id = h.template_id and ts.step_no = h.step_no
    )
    select queue_name as name, extension_ms, array_agg(msg_id order by msg_id) as msg_ids,
      array_agg(position::int) as positions
    from extended
    where extension_ms > 0
    group by queue_name, extension_ms
  loop
    v_problem := tasker.delay_messages(v_group.name, v_group.msg_ids, v_group.extension_ms);
    if v_problem is not null then
      return query
      select f.position, 'failed: ' || v_problem from unnest(v_group.positions) as f(position);
    end if;
  end loop;

  return query
  select l.position::int,
    case when s.task_uuid is null then 'stale' else 'cancelled' end
  from unnest(p_task_uuids, p_step_nos, p_receipts) with ordinality
    as l(task_uuid, step_no, receipt, position)
  left join tasker.steps s on s.task_uuid = l.task_uuid and s.step_no = l.step_no
    and s.receipt = l.receipt and s.state = 'in_progress' and s.worker = p_worker
  left join tasker.tasks t on t.task_uuid = s.task_uuid
  where s.task_uuid is null or t.state = 'cancelled'
  order by l.position;
end
$$;
