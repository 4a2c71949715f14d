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
set enable_sort to off
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
  v_held record;
  v_short record;
begin
  perform set_config('synchronous_commit', 'off', true);

  foreach v_namespace in array p_namespaces loop
    exit when v_left <= 0;
    select queue_name into v_queue from tasker.namespaces where namespace = v_namespace;
    continue when not found;

    -- As pgmq.read() does it, last_read_at aside, which older versions lack. The keys are in an array,
    -- because a planner that knows the queue as empty would read all of it to find those messages
    -- again; and it may not sort all messages to take the first.
    execute format(
      'with first as (
        select q.msg_id from pgmq.%1$I q
        where q.vt <= $1
        order by q.msg_id
        limit $2
        for update skip locked
      ), read as (
        update pgmq.%1$I q set vt = $1 + $3, read_ct = q.read_ct + 1
        where q.msg_id = any(array(select f.msg_id from first f))
        returning q.msg_id, q.message
      )
      select array_agg(m.msg_id), array_agg((m.message ->> ''task_uuid'')::uuid),
        array_agg((m.message ->> ''step_no'')::int)
      from read m', 'q_' || v_queue
    )
    into v_msgs, v_tasks, v_steps
    using clock_timestamp(), v_left, make_interval(secs => ceil(p_lease_ms / 1000.0));
    continue when v_msgs is null;
    -- Read after the messages, so that no step starts before it was enqueued.
    v_now := tasker.now();
    v_left := v_left - cardinality(v_msgs);

    -- A message whose step has ended may have been handed on to a dependent; one that stands for no
    -- step at all is void.
    v_void := null;
    if exists (
      select from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
      where not exists (
        select from tasker.steps s
        where s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
      )
    ) then
      select array_agg(o.step_no order by m.position),
        array_agg(m.msg_id) filter (where o.step_no is null)
      into v_steps, v_void
      from unnest(v_msgs, v_tasks) with ordinality as m(msg_id, task_uuid, position)
      left join lateral (
        select s.step_no from tasker.steps s
        where s.task_uuid = m.task_uuid and s.msg_id = m.msg_id
        limit 1
      ) o on true;
    end if;

    with held as materialized (
      select s.task_uuid, s.step_no, s.template_id, s.msg_id, s.state
      from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
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
    select array_agg(h.task_uuid) as tasks, array_agg(h.step_no) as steps,
      array_agg(h.msg_id) as msgs, array_agg(h.state = 'in_progress') as came_back,
      min(ts.timeout_ms) as shortest_timeout_ms
    into v_held
    from held h
    join tasker.template_steps ts on ts.template_id = h.template_id and ts.step_no = h.step_no;

    return query
    select * from tasker.describe_steps(v_held.tasks, v_held.steps, v_held.msgs, v_held.came_back);

    -- A step with a timeout shorter than the lease comes back when that is over.
    if v_held.shortest_timeout_ms + tasker.timeout_grace_ms() < p_lease_ms then
      for v_short in
        select ts.timeout_ms, array_agg(m.msg_id) as msg_ids
        from unnest(v_held.msgs, v_held.tasks, v_held.steps) as m(msg_id, task_uuid, step_no)
        join tasker.tasks t on t.task_uuid = m.task_uuid
        cross join lateral (
          select ts.timeout_ms from tasker.template_steps ts
          where ts.template_id = t.template_id and ts.step_no = m.step_no
          offset 0
        ) ts
        where ts.timeout_ms + tasker.timeout_grace_ms() < p_lease_ms
        group by ts.timeout_ms
      loop
        perform pgmq.set_vt(
          v_queue, v_short.msg_ids,
          clock_timestamp() + (v_short.timeout_ms + tasker.timeout_grace_ms()) * interval '1 ms'
        );
      end loop;
    end if;

    if v_void is not null then
      perform pgmq.delete(v_queue, v_void);
    end if;
    -- Where somebody else holds the step at this moment, its message is looked at again soon and not
    -- after a whole lease.
    if cardinality(v_msgs)
      > coalesce(cardinality(v_held.msgs), 0) + coalesce(cardinality(v_void), 0) then
      perform pgmq.set_vt(
        v_queue,
        array(
          select unnest(v_msgs) except select unnest(v_held.msgs) except select unnest(v_void)
        ),
        clock_timestamp() + interval '100 ms'
      );
    end if;
  end loop;
end
$$;
