-- What is to be done in the database, and what is in the way. Every count has a bound, p_most where
-- nothing else is said, and nothing is read of what has ended, so that it may be called every few seconds.
--
-- A step is overdue when nothing has happened to it for a minute although it should have: it is ready
-- and was not claimed, its retry is due, or its worker was lost or gave it back and no other has
-- received it. backlogs has an element for each namespace; what a queue holds is null in it where the
-- queue cannot be read. silent are the processes that were not seen for half a minute.
create or replace function tasker.bounded_gauges(
  p_most int, out backlogs jsonb, out live_orchestrators int, out live_workers int, out silent jsonb,
  out notification_queue_usage double precision, out held_back_seconds double precision,
  out held_back_transactions bigint
)
language plpgsql
set lock_timeout to '100ms'
as $$
declare
  c_overdue_ms constant bigint := 60000;
begin
  backlogs := coalesce((
    select jsonb_agg(jsonb_build_object(
      'namespace', n.namespace,
      'ready_steps', r.ready,
      'oldest_ready_seconds', r.oldest_seconds,
      'queue_depth', q.depth,
      'waiting_steps', q.waiting,
      'oldest_waiting_seconds', q.oldest_seconds,
      'overdue_claims', r.overdue,
      'overdue_retries', coalesce(w.timers, 0),
      'overdue_leases', q.overdue
    ))
    from tasker.ready_gauges(c_overdue_ms, p_most) r
    join tasker.namespaces n on n.namespace = r.namespace
    left join tasker.overdue_timers(c_overdue_ms) w on w.namespace = n.namespace
    cross join lateral tasker.queue_gauges(n.queue_name, c_overdue_ms, p_most) q
  ), '[]');
  select count(*) filter (where p.role = 'orchestrator' and p.is_live),
    count(*) filter (where p.role = 'worker' and p.is_live),
    coalesce(jsonb_agg(
      jsonb_build_object('registration_uuid', p.registration_uuid, 'role', p.role)
    ) filter (where not p.is_live), '[]')
  into live_orchestrators, live_workers, silent
  from (
    select l.registration_uuid, l.role, tasker.is_live(l.last_seen_at) as is_live
    from tasker.processes l
    limit p_most
  ) p;
  notification_queue_usage := pg_notification_queue_usage();
  select h.held_back_seconds, h.held_back_transactions
  into held_back_seconds, held_back_transactions
  from tasker.vacuum_horizon() h;
end
$$;
