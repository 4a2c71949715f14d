-- A step in a worker's hands, with all its handler may want to know. expired tells that the message
-- came back because an earlier holder's lease ran out.
create type tasker.received_step as (
  task_uuid uuid,
  step_no int,
  msg_id bigint,
  namespace text,
  template text,
  step_name text,
  handler text,
  attempt int,
  max_attempts int,
  timeout_ms int,
  priority int,
  context jsonb,
  input jsonb,
  dependency_results jsonb,
  expired text
);

-- Time beyond a step's timeout that its worker has to report it, before the message comes back.
create function tasker.timeout_grace_ms() returns int language sql immutable as $$ select 1000 $$;

-- Receives up to p_limit messages from the queues of the namespaces, in that order, and starts an
-- attempt of each step under a lease. Messages that stand for no step any more are deleted.
--
-- Never waits for a step that another transaction holds. Not durable by itself: where a crash of
-- the server undoes it, the attempt's outcome is stale and the message is received again.
create function tasker.receive_steps(
  p_namespaces text[], p_worker text, p_limit int, p_lease_ms bigint
)
returns setof tasker.received_step
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_now timestamptz;
  v_namespace text;
  v_queue text;
  v_left int := p_limit;
  v_msgs bigint[];
  v_tasks uuid[];
  v_steps int[];
  v_void bigint[];
  v_short record;
begin
  perform set_config('synchronous_commit', 'off', true);

  foreach v_namespace in array p_namespaces loop
    exit when v_left <= 0;
    select queue_name into v_queue from tasker.namespaces where namespace = v_namespace;
    continue when not found;

    select array_agg(m.msg_id), array_agg((m.message ->> 'task_uuid')::uuid),
      array_agg((m.message ->> 'step_no')::int)
    into v_msgs, v_tasks, v_steps
    from pgmq.read(v_queue, ceil(p_lease_ms / 1000.0)::int, v_left) m;
    continue when v_msgs is null;
    -- Read after the messages, so that no step starts before it was enqueued.
    v_now := tasker.now();
    v_left := v_left - cardinality(v_msgs);

    return query
    with message as (
      select msg_id, task_uuid, step_no
      from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
    ), held as materialized (
      select s.task_uuid, s.step_no, s.state, s.attempt, s.started_at
      from message m
      join tasker.steps s
        on s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
      for no key update of s skip locked
    ), started as (
      update tasker.steps s
      set state = 'in_progress', attempt = s.attempt + 1, started_at = v_now, worker = p_worker
      from held h
      where s.task_uuid = h.task_uuid and s.step_no = h.step_no and h.state = 'enqueued'
      returning s.task_uuid, s.step_no, s.attempt
    ), logged as (
      insert into tasker.step_transitions
        (task_uuid, at, step_no, attempt, from_state, to_state, actor)
      select task_uuid, v_now, step_no, attempt, 'enqueued', 'in_progress', p_worker
      from started
    )
    select
      h.task_uuid, h.step_no, m.msg_id, v_namespace,
      tp.namespace || '/' || tp.name || '@' || tp.version, ts.name, ts.handler,
      h.attempt + (h.state = 'enqueued')::int, s.max_attempts, ts.timeout_ms, t.priority,
      t.context, ts.input,
      case when ts.depends_on = '{}' then '{}' else (
        select coalesce(jsonb_object_agg(ps.name, coalesce(p.result, 'null')), '{}')
        from unnest(ts.depends_on) as d(step_no)
        join tasker.template_steps ps on ps.template_id = ts.template_id and ps.step_no = d.step_no
        join tasker.steps p on p.task_uuid = h.task_uuid and p.step_no = d.step_no
      ) end,
      case
        when h.state = 'enqueued' then null
        when v_now >= h.started_at + ts.timeout_ms * interval '1 ms' then 'timeout'
        else 'lease_expired'
      end
    from held h
    join message m on m.task_uuid = h.task_uuid and m.step_no = h.step_no
    join tasker.steps s on s.task_uuid = h.task_uuid and s.step_no = h.step_no
    join tasker.tasks t on t.task_uuid = h.task_uuid
    join tasker.templates tp on tp.template_id = t.template_id
    join tasker.template_steps ts on ts.template_id = t.template_id and ts.step_no = h.step_no;

    -- A step with a timeout shorter than the lease comes back when that is over.
    for v_short in
      select ts.timeout_ms, array_agg(m.msg_id) as msg_ids
      from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
      join tasker.tasks t on t.task_uuid = m.task_uuid
      join tasker.template_steps ts on ts.template_id = t.template_id and ts.step_no = m.step_no
      where ts.timeout_ms + tasker.timeout_grace_ms() < p_lease_ms
      group by ts.timeout_ms
    loop
      perform pgmq.set_vt(
        v_queue, v_short.msg_ids,
        clock_timestamp() + (v_short.timeout_ms + tasker.timeout_grace_ms()) * interval '1 ms'
      );
    end loop;

    select array_agg(m.msg_id) into v_void
    from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
    where not exists (
      select from tasker.steps s
      where s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
    );
    if v_void is not null then
      perform pgmq.delete(v_queue, v_void);
    end if;
  end loop;
end
$$;
