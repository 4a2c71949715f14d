-- Receives up to p_limit steps that one of the handlers can run from the queues of the namespaces, in
-- that order, and starts an attempt of each under a lease. In a queue the most urgent step comes
-- first, then the oldest; where there are several priorities, one place in ten goes to the step that
-- has waited longest, of the 64 least urgent ones. p_handlers is null for any handler.
--
-- Together the steps are given at most p_max_bytes; a step that would be given more by itself comes
-- without it and with a problem. Messages that stand for no step any more are deleted, foreign
-- ones are archived.
--
-- Never waits for a step that another transaction holds. Where steps were left out for that, or because
-- of p_max_bytes, a row without a step names the namespace. With p_guarded, so it does for a queue that
-- is missing, damaged or locked, with the problem, and other queues are received from all the same. Not
-- durable by itself: where a crash of the server undoes it, the attempt's outcome is stale until the
-- message is received again.
create or replace function tasker.receive_steps(
  p_namespaces text[], p_worker text, p_limit int, p_lease_ms bigint,
  p_handlers text[] default null, p_max_bytes bigint default 67108864,
  p_guarded boolean default true
)
returns setof tasker.received_step
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to off
set jit to off
as $$
declare
  -- The plans of so many queues are some megabytes of a session.
  c_prepared_queues constant int := 32;
  v_namespace text;
  v_left int := p_limit;
  v_bytes_left bigint := p_max_bytes;
  v_aged int := 0;
  v_received record;
  v_notice tasker.received_step;
begin
  perform set_config('synchronous_commit', 'off', true);
  if exists (select from tasker.priorities_in_use offset 1) then
    v_aged := floor(p_limit / 10.0 + random());
  end if;

  foreach v_namespace in array p_namespaces loop
    -- Not at the bound of bytes either: what has to wait for that is to be named.
    exit when v_left <= 0;
    v_received := tasker.receive_from_queue(
      v_namespace, p_worker, v_left, least(v_aged, v_left), p_lease_ms, p_handlers, v_bytes_left,
      p_max_bytes, cardinality(p_namespaces) <= c_prepared_queues, p_guarded
    );
    if v_received.left_out or v_received.problem is not null then
      v_notice.namespace := v_namespace;
      v_notice.problem := v_received.problem;
      return next v_notice;
    end if;
    continue when v_received.tasks is null;
    v_left := v_left - cardinality(v_received.tasks);
    v_bytes_left := v_bytes_left - v_received.bytes;
    -- One that is too large to be given anything counts no bytes.
    if v_received.came_back = '{f}' and v_received.bytes > 0 then
      return next tasker.describe_one_step(
        v_received.tasks[1], v_received.steps[1], v_received.msgs[1]
      );
      continue;
    end if;
    return query
    select * from tasker.describe_steps(
      v_received.tasks, v_received.steps, v_received.msgs, v_received.came_back, p_max_bytes
    );
  end loop;
end
$$;
