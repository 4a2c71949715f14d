-- Claims up to p_limit ready steps, the most urgent first and then the oldest: puts each into its
-- namespace's queue, wakes the queue's workers and answers the tasks concerned. Claims fewer only
-- when no more are ready, or those that are, are held by somebody else. With p_namespaces it claims
-- in those alone. ready_for_ms is the time since the oldest of a task's steps became ready;
-- successor_after_ms is null unless some became so by the end of another step, and then the longest
-- time since that end.
--
-- Never waits for ready rows or steps that another transaction holds: what is being claimed
-- elsewhere is left out. Not durable by itself: a crash of the server undoes state, message and
-- claim together.
create function tasker.claim_ready_tasks(
  p_processor text, p_limit int, p_namespaces text[] default null
)
returns table (
  task_uuid uuid, namespace text, queue_name text, priority int, ready_steps int,
  ready_for_ms double precision, successor_after_ms double precision
)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_announce text := tasker.be_silent();
  v_now timestamptz;
  v_left int := p_limit;
  v_taken int;
  v_void int;
  v_rows tid[];
  v_tasks uuid[];
  v_steps int[];
  v_started uuid[];
  v_claimed_rows tid[];
  v_msgs bigint[];
  v_queue record;
begin
  perform set_config('synchronous_commit', 'off', true);
  if not exists (select from tasker.queues_intact) then
    perform tasker.refill_queues();
  end if;

  loop
    if p_namespaces is null then
      select array_agg(r.ctid), array_agg(r.task_uuid), array_agg(r.step_no), count(*)
      into v_rows, v_tasks, v_steps, v_taken
      from (
        select ctid, task_uuid, step_no
        from tasker.ready_steps
        order by priority desc, ready_no
        limit v_left
        for update skip locked
      ) r;
    else
      -- Chosen before they are locked, from each template's first rows; twice as many as wanted, for
      -- the sake of a second orchestrator that does the same.
      select array_agg(r.ctid), array_agg(r.task_uuid), array_agg(r.step_no), count(*)
      into v_rows, v_tasks, v_steps, v_taken
      from (
        select r.ctid, r.task_uuid, r.step_no
        from unnest(array(
          select c.row_id
          from unnest(tasker.ready_templates(p_namespaces)) as t(template_id)
          cross join lateral (
            select f.ctid as row_id, f.priority, f.ready_no
            from tasker.ready_steps f
            where f.template_id = t.template_id
            order by f.priority desc, f.ready_no
            limit 2 * v_left
          ) c
          order by c.priority desc, c.ready_no
          limit 2 * v_left
        )) as few(row_id)
        cross join lateral (
          select f.ctid, f.task_uuid, f.step_no from tasker.ready_steps f
          where f.ctid = few.row_id
          for update skip locked
        ) r
        limit v_left
      ) r;
    end if;
    exit when v_taken = 0;
    -- Read after the rows, so that no step is enqueued before its parents ended.
    v_now := tasker.now();

    with pending as (
      select t.task_uuid from tasker.tasks t
      where t.task_uuid = any(v_tasks) and t.state = 'pending'
      order by t.task_uuid
      for no key update
    ), started as (
      update tasker.tasks t set state = 'in_progress', started_at = v_now
      from pending p
      where t.task_uuid = p.task_uuid
      returning t.task_uuid
    ), logged as (
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
      select s.task_uuid, v_now, 'pending', 'in_progress', p_processor from started s
    )
    select array_agg(s.task_uuid) into v_started from started s;
    -- Here and not after the commit, which wakes the queue's workers in any case.
    if v_started is not null then
      perform tasker.announce_task_states(v_started, 'in_progress');
    end if;

    v_claimed_rows := '{}';
    for v_queue in
      with claimable as (
        select r.row_id, r.position, s.task_uuid, s.step_no, s.template_id, s.state, s.attempt
        from unnest(v_rows, v_tasks, v_steps) with ordinality
          as r(row_id, task_uuid, step_no, position)
        join tasker.steps s on s.task_uuid = r.task_uuid and s.step_no = r.step_no
        where s.state in ('pending', 'waiting_for_retry')
        for no key update of s skip locked
      )
      select n.queue_name as name,
        array_agg(c.row_id order by c.position) as row_ids,
        array_agg(c.task_uuid order by c.position) as tasks,
        array_agg(c.step_no order by c.position) as steps,
        array_agg(c.state order by c.position) as states,
        array_agg(c.attempt order by c.position) as attempts,
        array_agg(
          jsonb_build_object('task_uuid', c.task_uuid, 'step_no', c.step_no) order by c.position
        ) as messages
      from claimable c
      join tasker.templates t on t.template_id = c.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      group by n.queue_name
    loop
      -- The form with fewer arguments is planned anew each time.
      select array_agg(m.msg_id order by m.position) into v_msgs
      from pgmq.send_batch(v_queue.name, v_queue.messages, null, clock_timestamp())
        with ordinality as m(msg_id, position);

      with step as (
        select *
        from unnest(v_queue.tasks, v_queue.steps, v_queue.states, v_queue.attempts, v_msgs)
          as q(task_uuid, step_no, state, attempt, msg_id)
      ), enqueued as (
        update tasker.steps s set state = 'enqueued', msg_id = q.msg_id, enqueued_at = v_now
        from step q
        where s.task_uuid = q.task_uuid and s.step_no = q.step_no
      )
      insert into tasker.step_transitions
        (task_uuid, at, step_no, attempt, from_state, to_state, actor)
      select q.task_uuid, v_now, q.step_no, q.attempt, q.state, 'enqueued', p_processor
      from step q;

      perform pg_notify('pgmq.q_' || v_queue.name || '.INSERT', '');
      v_claimed_rows := v_claimed_rows || v_queue.row_ids;
    end loop;

    -- A row whose step is held by somebody else stays; one whose step moved on meanwhile is void.
    v_void := 0;
    if v_taken > cardinality(v_claimed_rows) then
      delete from tasker.ready_steps r
      where r.ctid = any(v_rows)
        and not exists (
          select from tasker.steps s
          where s.task_uuid = r.task_uuid and s.step_no = r.step_no
            and s.state in ('pending', 'waiting_for_retry', 'enqueued')
        );
      get diagnostics v_void = row_count;
    end if;

    return query
    with claimed as (
      delete from tasker.ready_steps r
      where r.ctid = any(v_claimed_rows)
      returning r.task_uuid, r.template_id, r.priority, r.ready_at, r.cause, r.ready_no
    )
    select c.task_uuid, min(n.namespace), min(n.queue_name), max(c.priority), count(*)::int,
      extract(epoch from v_now - min(c.ready_at))::double precision * 1000,
      extract(epoch from v_now - min(c.ready_at) filter (
        where c.cause = 'step_transition'
      ))::double precision * 1000
    from claimed c
    join tasker.templates t on t.template_id = c.template_id
    join tasker.namespaces n on n.namespace = t.namespace
    group by c.task_uuid
    order by max(c.priority) desc, min(c.ready_no);

    -- Void rows must not stand in the way of what is ready behind them.
    v_left := v_left - cardinality(v_claimed_rows);
    exit when v_void = 0 or v_left = 0;
  end loop;
  perform set_config('tasker.announce', v_announce, true);
end
$$;
