-- What a step in progress waits for: its handler, or that the lease ends of a worker that is lost, or
-- that another worker takes it where that lease is over. p_queue_name is null where the queue cannot be
-- read, p_in_the_way as in tasker.why_enqueued().
create or replace function tasker.why_running(
  p_task tasker.tasks, p_step tasker.steps, p_timeout_ms int, p_queue_name text, p_in_the_way jsonb
)
returns jsonb
language plpgsql
stable
as $$
declare
  v_now timestamptz := tasker.now();
  v_timeout interval := p_timeout_ms * interval '1 ms';
  v_timeout_in interval := p_step.started_at + v_timeout - v_now;
  v_running text := tasker.in_words(v_now - p_step.started_at);
  v_lease_until timestamptz;
  v_seen timestamptz;
  v_why jsonb;
  v_evidence jsonb;
begin
  if p_queue_name is not null then
    select m.vt into v_lease_until from tasker.step_in_queue(p_queue_name, p_step.msg_id) m;
  end if;
  select max(p.last_seen_at) into v_seen
  from tasker.processes p
  where p.role = 'worker' and p.identity = p_step.worker;
  v_evidence := jsonb_build_object(
    'worker', p_step.worker, 'started_at', p_step.started_at, 'attempt', p_step.attempt,
    'max_attempts', p_step.max_attempts, 'timeout_at', p_step.started_at + v_timeout,
    'lease_until', v_lease_until, 'worker_last_seen_at', v_seen
  );

  if v_lease_until <= clock_timestamp() then
    v_why := tasker.why_enqueued(p_step, p_queue_name, p_in_the_way);
    if v_why ->> 'cause' in ('waits_to_be_received', 'message_delayed') then
      v_why := jsonb_build_object(
        'cause', 'lease_over',
        'detail', 'another worker receives it, or this one extends its lease',
        'evidence', '{}'::jsonb
      );
    end if;
    return v_why || jsonb_build_object(
      'detail', format('the lease of %s ended %s ago: %s', p_step.worker,
        tasker.in_words(clock_timestamp() - v_lease_until), v_why ->> 'detail'),
      'evidence', v_evidence || (v_why -> 'evidence')
    );
  elsif p_task.state = 'cancelled' then
    return jsonb_build_object(
      'cause', 'being_cancelled',
      'detail', format('the task is cancelled; %s is told with its next heartbeat, and has been '
        'running it for %s', p_step.worker, v_running),
      'evidence', v_evidence
    );
  elsif not coalesce(tasker.is_live(v_seen), false) then
    return jsonb_build_object(
      'cause', 'worker_lost',
      'detail', format('%s, which ran it, %s; another worker can take it %s', p_step.worker,
        case when v_seen is null then 'is gone'
          else format('was last seen %s ago', tasker.in_words(clock_timestamp() - v_seen)) end,
        coalesce('in ' || tasker.in_words(v_lease_until - clock_timestamp()), 'after its lease')),
      'evidence', v_evidence
    );
  elsif v_timeout_in < interval '0' then
    return jsonb_build_object(
      'cause', 'past_timeout',
      'detail', format('%s has been running it for %s, and its timeout of %s is over; it is tried '
        'again when its lease ends', p_step.worker, v_running, tasker.in_words(v_timeout)),
      'evidence', v_evidence
    );
  end if;
  return jsonb_build_object(
    'cause', 'running',
    'detail', format('%s has been running it for %s, attempt %s of %s; its timeout ends in %s',
      p_step.worker, v_running, p_step.attempt, p_step.max_attempts,
      tasker.in_words(v_timeout_in)),
    'evidence', v_evidence
  );
end
$$;
