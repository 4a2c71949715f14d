-- Claims up to p_limit ready steps, the most urgent first and then the oldest: puts each into its
-- namespace's queue, wakes the queue's workers and answers the tasks concerned. Claims fewer only
-- when no more are ready, or other transactions hold those that are. With p_namespaces it claims
-- in those alone. ready_for_ms is the time since the oldest of a task's steps became ready;
-- successor_after_ms is null unless some became so by the end of another step, and then the longest
-- time since that end.
--
-- Never waits for ready rows, tasks or steps that another transaction holds: they are left out, and a
-- row without a task says how many the claim met, for the caller to come back. With p_guarded, the
-- same goes for a queue that is missing, damaged or locked: that row names the namespace and the
-- problem, and the steps stay ready. Not durable by itself: a crash of the server undoes state, message
-- and claim together.
create or replace function tasker.claim_ready_tasks(
  p_processor text, p_limit int, p_namespaces text[] default null, p_guarded boolean default true
)
returns table (
  task_uuid uuid, namespace text, queue_name text, priority int, ready_steps int,
  ready_for_ms double precision, successor_after_ms double precision, problem text
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
  -- Batches that one call looks at where what comes first cannot be claimed.
  c_batches constant int := 20;
  v_announce text := tasker.suppress_notify();
  v_now timestamptz;
  v_namespaces text[] := p_namespaces;
  v_left int := p_limit;
  v_want int;
  v_taken int;
  v_void int;
  v_left_out int := 0;
  v_last_priority int;
  v_last_no bigint;
  v_passed_by uuid[] := '{}';
  v_rows tid[];
  v_tasks uuid[];
  v_steps int[];
  v_priorities int[];
  v_numbers bigint[];
  v_unstarted uuid[];
  v_started uuid[];
  v_claimed_rows tid[];
  v_failed_rows int;
  v_queue record;
  v_problem text;
begin
  perform set_config('synchronous_commit', 'off', true);
  if not exists (select from tasker.queues_intact) then
    perform tasker.refill_queues();
  end if;

  for v_batch in 1..c_batches loop
    -- A batch continues behind the one before it, and passes by tasks that steps were left out of:
    -- where one transaction holds a wide task, thousands of its steps may be ready.
    v_want := v_left;
    if v_namespaces is null then
      select array_agg(r.ctid), array_agg(r.task_uuid), array_agg(r.step_no),
        array_agg(r.priority), array_agg(r.ready_no), count(*)
      into v_rows, v_tasks, v_steps, v_priorities, v_numbers, v_taken
      from (
        select ctid, task_uuid, step_no, priority, ready_no
        from tasker.ready_steps
        where (v_last_priority is null or priority < v_last_priority
            or priority = v_last_priority and ready_no > v_last_no)
          and task_uuid <> all(v_passed_by)
        order by priority desc, ready_no
        limit v_want
        for update skip locked
      ) r;
    else
      -- Chosen before they are locked, from each template's first rows; twice as many as wanted, for
      -- the sake of a second orchestrator that does the same.
      select array_agg(r.ctid), array_agg(r.task_uuid), array_agg(r.step_no),
        array_agg(r.priority), array_agg(r.ready_no), count(*)
      into v_rows, v_tasks, v_steps, v_priorities, v_numbers, v_taken
      from (
        select r.ctid, r.task_uuid, r.step_no, r.priority, r.ready_no
        from unnest(array(
          select c.row_id
          from unnest(tasker.ready_templates(v_namespaces)) as t(template_id)
          cross join lateral (
            select f.ctid as row_id, f.priority, f.ready_no
            from tasker.ready_steps f
            where f.template_id = t.template_id
              and (v_last_priority is null or f.priority < v_last_priority
                or f.priority = v_last_priority and f.ready_no > v_last_no)
              and f.task_uuid <> all(v_passed_by)
            order by f.priority desc, f.ready_no
            limit 2 * v_want
          ) c
          order by c.priority desc, c.ready_no
          limit 2 * v_want
        )) as few(row_id)
        cross join lateral (
          select f.ctid, f.task_uuid, f.step_no, f.priority, f.ready_no from tasker.ready_steps f
          where f.ctid = few.row_id
          for update skip locked
        ) r
        limit v_want
      ) r;
    end if;
    exit when v_taken = 0;
    v_last_priority := v_priorities[v_taken];
    v_last_no := v_numbers[v_taken];
    if v_taken = 1 and not p_guarded
      and current_setting('tasker.path_for_one', true) is distinct from 'off' then
      return query
      select * from tasker.claim_one_step(
        v_rows[1], v_tasks[1], v_steps[1], v_priorities[1], p_processor
      );
      if found then
        v_left := v_left - 1;
        exit;
      end if;
    end if;
    -- Read after the rows, so that no step is enqueued before its parents ended.
    v_now := tasker.now();

    with pending as materialized (
      select t.ctid as row_id, t.task_uuid from tasker.tasks t
      where t.task_uuid = any(v_tasks) and t.state = 'pending'
    ), held as materialized (
      select h.task_uuid
      from pending p
      cross join lateral (
        select t.task_uuid from tasker.tasks t
        where t.ctid = p.row_id and t.state = 'pending'
        for no key update skip locked
      ) h
    ), started as (
      update tasker.tasks t set state = 'in_progress', started_at = v_now
      from held h
      where t.task_uuid = h.task_uuid
      returning t.task_uuid
    ), logged as (
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
      select s.task_uuid, v_now, 'pending', 'in_progress', p_processor from started s
    )
    select case when (select count(*) from held) = (select count(*) from pending) then '{}'
      else array(select p.task_uuid from pending p except select h.task_uuid from held h) end,
      (select array_agg(s.task_uuid) from started s)
    into v_unstarted, v_started;

    v_claimed_rows := '{}';
    v_failed_rows := 0;
    for v_queue in
      with claimable as (
        select r.row_id, r.priority, s.*
        from unnest(v_rows, v_tasks, v_steps, v_priorities)
          as r(row_id, task_uuid, step_no, priority)
        -- By their keys, as in tasker.describe_steps().
        cross join lateral (
          select k.task_uuid, k.step_no, k.template_id, k.state, k.attempt from tasker.steps k
          where k.task_uuid = r.task_uuid and k.step_no = r.step_no
            and k.state in ('pending', 'waiting_for_retry')
          for no key update skip locked
        ) s
        where r.task_uuid <> all(v_unstarted)
      )
      -- Nothing here changes the order of the rows. To sort each array costs more than to make it.
      select q.queue_name as name, q.namespace, array_agg(c.row_id) as row_ids,
        array_agg(c.task_uuid) as tasks, array_agg(c.step_no) as steps,
        array_agg(c.state) as states, array_agg(c.attempt) as attempts,
        array_agg(tasker.step_message(c.task_uuid, c.step_no, q.handler, c.priority)) as messages
      from claimable c
      cross join lateral (
        select n.queue_name, n.namespace, ts.handler
        from tasker.template_steps ts
        join tasker.templates t on t.template_id = ts.template_id
        join tasker.namespaces n on n.namespace = t.namespace
        where ts.template_id = c.template_id and ts.step_no = c.step_no
        offset 0
      ) q
      group by q.queue_name, q.namespace
    loop
      if v_started = v_queue.tasks[1:1] then
        -- One task, whose namespace need not be looked up.
        perform tasker.announce_task_state(v_queue.namespace, 'in_progress', v_started);
        v_started := null;
      end if;
      v_problem := tasker.enqueue_steps(
        v_queue.name, v_queue.tasks, v_queue.steps, v_queue.states, v_queue.attempts,
        v_queue.messages, p_processor, v_now, p_guarded
      );
      if v_problem is null then
        v_claimed_rows := v_claimed_rows || v_queue.row_ids;
        continue;
      end if;
      v_failed_rows := v_failed_rows + cardinality(v_queue.row_ids);
      return query
      select null::uuid, v_queue.namespace, v_queue.name, null::int,
        cardinality(v_queue.row_ids), null::double precision, null::double precision, v_problem;
      -- However much is ready there, other namespaces do not wait behind it.
      v_namespaces := array_remove(
        coalesce(v_namespaces, array(select k.namespace from tasker.namespaces k)),
        v_queue.namespace
      );
    end loop;

    -- Here and not after the commit, which wakes the queue's workers in any case.
    if v_started is not null then
      perform tasker.announce_task_states(v_started, 'in_progress');
    end if;

    perform tasker.note_priorities(v_priorities);

    -- A row whose step another transaction holds stays; one whose step moved on meanwhile is void.
    v_void := 0;
    if v_taken > cardinality(v_claimed_rows) + v_failed_rows then
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
      ))::double precision * 1000,
      null::text
    from claimed c
    join tasker.templates t on t.template_id = c.template_id
    join tasker.namespaces n on n.namespace = t.namespace
    group by c.task_uuid
    order by max(c.priority) desc, min(c.ready_no);

    v_left := v_left - cardinality(v_claimed_rows);
    v_left_out := v_left_out
      + v_taken - cardinality(v_claimed_rows) - v_failed_rows - v_void;
    exit when v_left = 0 or v_taken = cardinality(v_claimed_rows);
    v_passed_by := v_passed_by || array(
      select distinct l.task_uuid from unnest(v_rows, v_tasks) as l(row_id, task_uuid)
      where l.row_id <> all(v_claimed_rows)
    );
  end loop;
  if v_left_out > 0 then
    return query
    select null::uuid, null::text, null::text, null::int, v_left_out,
      null::double precision, null::double precision, null::text;
  end if;
  perform set_config('tasker.announce', v_announce, true);
end
$$;
