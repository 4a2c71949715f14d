-- Makes up to p_limit due retries ready, and wakes the workers of every queue that holds a message
-- which could be received: one whose lease ran out, or one whose wake-up was lost. Refills a queue
-- where that failed after a crash. Answers also in how many milliseconds the next retry or lease is
-- due, null when nothing waits.
--
-- Any number of orchestrators may call it at once; each retry becomes ready once. The caller looks
-- for ready tasks afterwards; one that serves some namespaces only has the other tasks announced
-- with p_announce. A queue that cannot be read is left out. The first that is locked is waited for as
-- long as the session waits for locks, later ones for a moment.
--
-- Queues have no index on the end of leases. None is needed: where a message is visible, the first
-- few rows show it, and where none is, what is there is held by workers, which is little.
create or replace function tasker.fire_due_timers(
  p_limit int, p_announce boolean default false,
  out fired int, out woken_queues text[], out next_due_ms bigint
)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  -- Until a queue is looked at again in which messages wait that nobody received, or that is locked:
  -- leases may have run out among them.
  c_visible_again_ms constant bigint := 5000;
  v_now timestamptz := tasker.now();
  v_queue text;
  v_due timestamptz;
  v_due_ms bigint;
  v_visible boolean;
  v_clock timestamptz;
  v_announce text;
  v_lock_timeout text := current_setting('lock_timeout');
begin
  perform set_config('synchronous_commit', 'off', true);
  if not exists (select from tasker.queues_intact) then
    perform tasker.refill_queues();
  end if;
  if exists (select from tasker.queues_to_refill where retry_at <= v_now) then
    perform tasker.refill_one_queue();
  end if;
  if not p_announce then
    v_announce := tasker.suppress_notify();
  end if;

  with due as (
    select ctid from tasker.timers
    where due_at <= v_now
    order by due_at
    limit p_limit
    for update skip locked
  ), gone as (
    delete from tasker.timers t using due d where t.ctid = d.ctid
    returning t.task_uuid, t.step_no, t.due_at
  ), made_ready as (
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
    select g.task_uuid, g.step_no, t.template_id, t.priority, v_now, 'retry'
    from gone g
    join tasker.tasks t on t.task_uuid = g.task_uuid
    order by g.due_at
    returning 1
  )
  select count(*) into fired from made_ready;
  if v_announce is not null then
    perform set_config('tasker.announce', v_announce, true);
  end if;

  select ceil(extract(epoch from least(
      (select min(due_at) from tasker.timers), (select min(retry_at) from tasker.queues_to_refill)
    ) - v_now) * 1000)
  into next_due_ms;

  woken_queues := '{}';
  v_clock := clock_timestamp();
  for v_queue in select queue_name from tasker.namespaces order by queue_name loop
    begin
      execute format('select exists (select from pgmq.%I where vt <= $1)', 'q_' || v_queue)
      into v_visible using v_clock;
      if v_visible then
        woken_queues := woken_queues || v_queue;
        perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
        v_due_ms := c_visible_again_ms;
      else
        execute format('select min(vt) from pgmq.%I', 'q_' || v_queue) into v_due;
        v_due_ms := ceil(extract(epoch from v_due - v_clock) * 1000);
      end if;
      next_due_ms := least(next_due_ms, v_due_ms);
    exception
      when lock_not_available then
        perform set_config('lock_timeout', '1ms', true);
        next_due_ms := least(next_due_ms, c_visible_again_ms);
      when others then
        null;
    end;
  end loop;
  perform set_config('lock_timeout', v_lock_timeout, true);
  -- Not greatest(), which would turn "nothing waits" into "due now".
  if next_due_ms < 0 then
    next_due_ms := 0;
  end if;
end
$$;
