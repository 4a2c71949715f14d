-- What a step in progress waits for: its handler, or that the lease ends of a worker that is lost.
create or replace function tasker.why_running(
  p_task tasker.tasks, p_step tasker.steps, p_namespace text, p_queue_name text,
  p_template_step tasker.template_steps, p_queue_is_readable boolean,
  out cause text, out detail text, out action text, out evidence jsonb
)
language plpgsql
stable
as $$
declare
  v_now timestamptz := tasker.now();
  v_timeout_at timestamptz := p_step.started_at + p_template_step.timeout_ms * interval '1 ms';
  v_lease_until timestamptz;
  v_seen timestamptz;
  v_is_live boolean;
  v_running text := tasker.in_words(v_now - p_step.started_at);
begin
  if p_queue_is_readable and to_regclass(format('pgmq.%I', 'q_' || p_queue_name)) is not null then
    select m.vt into v_lease_until from tasker.step_in_queue(p_queue_name, p_step.msg_id) m;
  end if;
  select max(p.last_seen_at) into v_seen
  from tasker.processes p
  where p.role = 'worker' and p.identity = p_step.worker;
  v_is_live := coalesce(tasker.is_live(v_seen), false);
  evidence := jsonb_build_object(
    'worker', p_step.worker, 'started_at', p_step.started_at, 'attempt', p_step.attempt,
    'max_attempts', p_step.max_attempts, 'timeout_at', v_timeout_at,
    'lease_until', v_lease_until, 'worker_last_seen_at', v_seen
  );

  if v_lease_until <= clock_timestamp() then
    cause := 'lease_over';
    select w.cause, w.detail, w.action into cause, detail, action
    from tasker.why_enqueued(p_step, p_namespace, p_queue_name, p_template_step.handler) w;
    if cause in ('waits_to_be_received', 'message_delayed') then
      cause := 'lease_over';
      detail := 'another worker receives it, or this one extends its lease';
      action := 'none: its attempt is tried again or goes on';
    end if;
    detail := format('the lease of %s ended %s ago: %s', quote_ident(p_step.worker),
      tasker.in_words(clock_timestamp() - v_lease_until), detail);
  elsif p_task.state = 'cancelled' then
    cause := 'being_cancelled';
    detail := format('the task is cancelled; %s is told with its next heartbeat, and its handler '
      'has been running for %s', quote_ident(p_step.worker), v_running);
    action := 'none: it ends with its handler, or with its timeout';
  elsif not v_is_live then
    cause := 'worker_lost';
    detail := format('%s, which runs it, %s; another worker can take it %s',
      quote_ident(p_step.worker),
      case when v_seen is null then 'is gone'
        else format('was last seen %s ago', tasker.in_words(clock_timestamp() - v_seen)) end,
      coalesce('in ' || tasker.in_words(v_lease_until - clock_timestamp()), 'after its lease'));
    action := 'none: it is tried again when the lease ends';
  elsif v_timeout_at < v_now then
    cause := 'past_timeout';
    detail := format('%s has been running it for %s, and its timeout of %s is over',
      quote_ident(p_step.worker), v_running,
      tasker.in_words(p_template_step.timeout_ms * interval '1 ms'));
    action := 'none: it is tried again when the lease ends';
  else
    cause := 'running';
    detail := format('%s has been running it for %s, attempt %s of %s; its timeout ends in %s',
      quote_ident(p_step.worker), v_running, p_step.attempt, p_step.max_attempts,
      tasker.in_words(v_timeout_at - v_now));
    action := 'none: its handler is at work';
  end if;
end
$$;
