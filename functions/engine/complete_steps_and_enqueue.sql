-- Records the outcomes of attempts, each array holding one element an outcome: `complete` with a
-- result, `retry` or `fail` with an error. States, retries, dependents, the tasks' ends and the
-- deletion of the messages are one transaction.
--
-- An outcome counts when its receipt is the current one, in progress and under this message; any
-- other is stale and changes nothing. The message matters because a crash of the server may undo
-- a claim and give its number to another step. In a cancelled task a result is kept and a failure
-- becomes `cancelled`.
-- Silent without p_announces: the caller announces what the answer says once it has committed. Raises TK400
-- for any other outcome, and has changed nothing.
--
-- Waits for tasks and steps that another transaction holds; where the session has a lock_timeout it
-- raises lock_not_available after that and has changed nothing. With p_skip_locked it waits for none
-- of them; `locked` names the outcomes it left out, for the caller to try again. Then a message that
-- cannot be deleted, as where the queue is damaged or remains locked for as long, keeps no outcome from
-- being recorded: it stands for no step any more.
--
-- With p_enqueues, a dependent that is ready is put into its queue at once: its worker is woken by
-- woken_queues, and no claim is needed. Not so with p_skip_locked, and while a queue has lost its
-- messages: then it waits for a claim like any other ready step. Raises what the queue raises.
--
-- Continuation: an outcome whose element of p_continue is true may hand its message on to a ready
-- dependent whose handler is among p_handlers. That step starts in the same transaction, on the
-- lease of that message, in the hands of the same worker, whose leases are p_lease_ms long; see
-- tasker.free_dependents. The caller continues only while most of the lease is left. With p_enqueues up
-- to p_room further dependents, which would be put into their queue otherwise, start in the same way, each
-- on a message and a lease of its own. The first row of the answer says what was brought about, each
-- further row is a step that was started. A repeated call, whose outcomes are stale, answers the steps
-- that its first one started, so that they need not wait for their leases where the answer got lost.
-- With p_enqueues it may be one that another outcome started, for which it waited too: such a caller
-- knows what it runs.
create or replace function tasker.complete_steps_and_enqueue(
  p_worker text,
  p_task_uuids uuid[],
  p_step_nos int[],
  p_receipts int[],
  p_msg_ids bigint[],
  p_namespaces text[],
  p_outcomes text[],
  p_payloads jsonb[],
  p_delays_ms bigint[],
  p_continue boolean[] default null,
  p_handlers text[] default null,
  p_lease_ms bigint default null,
  p_skip_locked boolean default false,
  p_enqueues boolean default true,
  p_room int default 0,
  p_announces boolean default false
)
returns table (
  stale int[], locked int[], ready_tasks uuid[], finished_tasks uuid[], cancelled_tasks uuid[],
  woken_queues text[], timer_set boolean, enqueued_steps int,
  task_uuid uuid, step_no int, msg_id bigint, namespace text, template text, step_name text,
  handler text, attempt int, receipt int, max_attempts int, timeout_ms int, priority int,
  context jsonb, input jsonb, dependency_results jsonb, expired text, input_bytes bigint,
  problem text
)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_now timestamptz;
  -- Then an end is logged together with the start that followed.
  v_continues boolean := p_handlers is not null;
  v_enqueues boolean;
  v_announce text;
  v_most_urgent int;
  v_freed record;
  v_handed_on int;
  v_positions int[];
  v_msgs bigint[];
  v_tasks uuid[];
  v_steps int[];
  v_templates int[];
  v_states tasker.step_state[];
  v_attempts int[];
  v_active int[];
  v_failed int[];
  v_done_tasks uuid[];
  v_done_steps int[];
  v_done_attempts int[];
  v_done_templates int[];
  v_done_msgs bigint[];
  v_queue record;
  v_more_tasks uuid[];
  v_again_tasks uuid[];
  v_again_steps int[];
  v_again_msgs bigint[];
  v_done_bytes int[];
  v_locked int[] := '{}';
begin
  if not p_outcomes <@ '{complete,retry,fail}' then
    raise exception using
      errcode = 'TK400',
      message = 'an outcome is neither complete nor retry nor fail',
      hint = 'Nothing was recorded. p_outcomes has one of these words for each step.';
  end if;
  if p_skip_locked then
    v_locked := tasker.locked_positions(p_task_uuids, p_step_nos);
  else
    perform 1 from tasker.tasks t
    where t.task_uuid = any(p_task_uuids)
    order by t.task_uuid
    for no key update;
  end if;
  v_now := tasker.now();

  with report as (
    select r.*, t.state as task_state
    from unnest(p_task_uuids, p_step_nos, p_receipts, p_msg_ids, p_outcomes, p_payloads)
      with ordinality as r(task_uuid, step_no, receipt, msg_id, outcome, payload, position)
    -- Steps are found by their whole keys, as in tasker.describe_steps().
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
    where r.position <> all(v_locked)
  ), moved as (
    update tasker.steps s
    set state = case
        when r.outcome = 'complete' then 'complete'
        when r.task_state = 'cancelled' then 'cancelled'
        when r.outcome = 'retry' and s.attempt < s.max_attempts then 'waiting_for_retry'
        else 'error'
      end::tasker.step_state,
      result = case when r.outcome = 'complete' then r.payload end,
      result_bytes = case when r.outcome = 'complete' then pg_column_size(r.payload) else 0 end,
      error = case when r.outcome <> 'complete' then r.payload end,
      finished_at = case
        when r.outcome = 'retry' and s.attempt < s.max_attempts and r.task_state <> 'cancelled'
          then null
        else v_now
      end,
      msg_id = null
    from report r
    where s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.receipt = r.receipt and s.msg_id = r.msg_id and s.state = 'in_progress'
    returning r.position::int, s.task_uuid, s.step_no, s.template_id, s.state, s.attempt, s.error,
      s.result_bytes
  ), logged as (
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, error)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker, error
    from moved
    where not v_continues or state <> 'complete'
  )
  select array_agg(position), array_agg(p_msg_ids[position]), array_agg(task_uuid),
    array_agg(step_no), array_agg(template_id), array_agg(state), array_agg(attempt),
    array_agg(case when state = 'waiting_for_retry' then 0 else -1 end),
    array_agg(case when state = 'error' then 1 else 0 end),
    array_agg(task_uuid) filter (where state = 'complete'),
    array_agg(step_no) filter (where state = 'complete'),
    array_agg(attempt) filter (where state = 'complete'),
    array_agg(template_id) filter (where state = 'complete'),
    array_agg(case when p_continue[position] then p_msg_ids[position] end)
      filter (where state = 'complete'),
    array_agg(result_bytes) filter (where state = 'complete')
  into v_positions, v_msgs, v_tasks, v_steps, v_templates, v_states, v_attempts, v_active,
    v_failed, v_done_tasks, v_done_steps, v_done_attempts, v_done_templates, v_done_msgs,
    v_done_bytes
  from moved;

  ready_tasks := '{}';
  finished_tasks := '{}';
  cancelled_tasks := '{}';
  woken_queues := '{}';
  enqueued_steps := 0;
  timer_set := 'waiting_for_retry' = any(v_states);
  locked := v_locked;
  stale := '{}';
  if cardinality(p_task_uuids) > coalesce(cardinality(v_positions), 0) + cardinality(v_locked) then
    stale := array(
      select position from generate_series(1, cardinality(p_task_uuids)) as position
      where (v_positions is null or position <> all(v_positions)) and position <> all(v_locked)
    );
  end if;
  -- A report that is repeated because its answer got lost is answered with the steps that followed
  -- then: the one that has its message, and those that started in the moment that enqueued them. A
  -- worker that gets one too late runs it for nothing: the outcome is stale.
  if p_handlers is not null and stale <> '{}' then
    select array_agg(f.task_uuid), array_agg(f.step_no), array_agg(f.msg_id)
    into v_again_tasks, v_again_steps, v_again_msgs
    from (
      -- It may have followed several of them.
      select distinct s.task_uuid, s.step_no, s.msg_id
      from unnest(stale) as p(position)
      join tasker.steps d
        on d.task_uuid = p_task_uuids[p.position] and d.step_no = p_step_nos[p.position]
      join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
      cross join unnest(ts.dependents) as e(step_no)
      join tasker.steps s on s.task_uuid = d.task_uuid and s.step_no = e.step_no
      where s.state = 'in_progress' and s.worker = p_worker
        and (s.msg_id = p_msg_ids[p.position] or p_enqueues and s.started_at = s.enqueued_at)
    ) f;
  end if;
  if v_positions is null then
    timer_set := false;
    return next;
    if v_again_tasks is not null then
      return query
      select (null::tasker.moved).*, null::int, d.*
      from tasker.describe_steps(v_again_tasks, v_again_steps, v_again_msgs, null) d;
    end if;
    return;
  end if;

  if timer_set then
    insert into tasker.timers (task_uuid, step_no, due_at)
    select m.task_uuid, m.step_no,
      -- A century at most: no delay that a handler asks for may leave the range of time.
      v_now + interval '1 ms' * least(
        3155760000000,
        coalesce(
          p_delays_ms[m.position],
          tasker.retry_delay_ms(ts.backoff, ts.base_ms, ts.max_ms, ts.jitter, m.attempt)
        )
      )
    from unnest(v_positions, v_tasks, v_steps, v_templates, v_states, v_attempts)
      as m(position, task_uuid, step_no, template_id, state, attempt)
    join tasker.template_steps ts on ts.template_id = m.template_id and ts.step_no = m.step_no
    where m.state = 'waiting_for_retry';
  end if;

  if array_remove(v_done_msgs, null) <> '{}' then
    -- Where all have one priority, nothing is more urgent than what follows.
    if exists (select from tasker.priorities_in_use offset 1) then
      v_most_urgent := tasker.most_urgent_message(p_namespaces, p_handlers, v_msgs);
    end if;
  end if;
  v_announce := tasker.suppress_notify();
  v_enqueues := p_enqueues and not p_skip_locked and exists (select from tasker.queues_intact);
  v_freed := tasker.free_dependents(
    v_done_tasks, v_done_steps, v_done_templates, v_now, p_worker, v_done_msgs, p_handlers,
    p_lease_ms, v_most_urgent, v_done_bytes, v_enqueues, p_room
  );
  v_handed_on := cardinality(v_freed.followed);
  ready_tasks := v_freed.ready_tasks;
  woken_queues := v_freed.woken_queues;
  enqueued_steps := cardinality(v_freed.enqueued_tasks);
  if v_continues and v_done_tasks is not null then
    -- A step that waited for several of these starts after the ends of all, in a row of its own.
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, started_step_no, started_attempt)
    with follower as (
      select *
      from unnest(
        v_freed.started_tasks, v_freed.started_steps, v_freed.started_attempts, v_freed.followed,
        v_freed.only_parent
      ) as f(task_uuid, step_no, attempt, followed, only_parent)
    )
    select v_done_tasks[e.position], v_now, v_done_steps[e.position], v_done_attempts[e.position],
      'in_progress'::tasker.step_state, 'complete'::tasker.step_state, p_worker, e.step_no, e.attempt
    from (
      select f.followed, f.step_no, f.attempt from follower f where f.only_parent
      union all
      select p.position, null, null
      from generate_series(1, cardinality(v_done_tasks)) as p(position)
      where p.position not in (select f.followed from follower f where f.only_parent)
    ) as e(position, step_no, attempt)
    union all
    select f.task_uuid, v_now, f.step_no, f.attempt, 'pending', 'in_progress', p_worker, null, null
    from follower f
    where f.only_parent is not true;
  end if;
  if v_freed.enqueued_tasks <> '{}' then
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    select q.task_uuid, v_now, q.step_no, q.attempt, 'pending', 'enqueued', p_worker
    from unnest(v_freed.enqueued_tasks, v_freed.enqueued_steps, v_freed.enqueued_attempts)
      as q(task_uuid, step_no, attempt);
  end if;

  -- Where each step that moved was followed by one that started in its place, and by no other, there is
  -- nothing to count and no message to delete.
  if v_handed_on < cardinality(v_positions) or v_handed_on < cardinality(v_freed.started_tasks)
    or v_freed.ready_tasks <> '{}' or v_freed.enqueued_tasks <> '{}' then
    v_more_tasks := v_freed.ready_tasks || v_freed.enqueued_tasks || v_freed.started_tasks;
    v_active := v_active || array_fill(1, array[cardinality(v_more_tasks)]);
    finished_tasks := tasker.count_active(
      v_tasks || v_more_tasks, v_active, v_failed, p_worker, v_now
    );
    for v_queue in
      select n.queue_name as name, array_agg(r.msg_id order by r.msg_id) as msg_ids
      from unnest(v_positions) as p(position),
        lateral (
          select p_namespaces[p.position] as namespace, p_msg_ids[p.position] as msg_id
        ) as r
      join tasker.namespaces n on n.namespace = r.namespace
      where v_handed_on = 0
        or (p_task_uuids[p.position], p_step_nos[p.position]) not in (
          select v_done_tasks[f.position], v_done_steps[f.position]
          from unnest(v_freed.followed) as f(position)
        )
      group by n.queue_name
      order by n.queue_name
    loop
      perform tasker.delete_messages(v_queue.name, v_queue.msg_ids, p_skip_locked);
    end loop;
  end if;
  perform set_config('tasker.announce', v_announce, true);
  if p_announces then
    -- That commits without waiting, which an outcome may not.
    v_announce := current_setting('synchronous_commit');
    perform tasker.announce(
      ready_tasks, finished_tasks, woken_queues, timer_set,
      array(
        select tasker.step_uuid(p_task_uuids[1], p_step_nos[1])
        from generate_series(1, cardinality(ready_tasks))
      )
    );
    perform set_config('synchronous_commit', v_announce, true);
  end if;

  return next;
  if v_freed.started_tasks = '{}' and v_again_tasks is null then
    return;
  end if;

  if array_remove(v_freed.lease_ms, null) <> '{}' then
    for v_queue in
      select n.queue_name as name, f.lease_ms, array_agg(f.msg_id order by f.msg_id) as msg_ids
      from unnest(v_freed.started_tasks, v_freed.started_msgs, v_freed.lease_ms)
        as f(task_uuid, msg_id, lease_ms)
      join tasker.tasks k on k.task_uuid = f.task_uuid
      join tasker.templates t on t.template_id = k.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      where f.lease_ms is not null
      group by 1, 2
      order by 1, 2
    loop
      perform tasker.delay_messages(v_queue.name, v_queue.msg_ids, v_queue.lease_ms);
    end loop;
  end if;

  return query
  select (null::tasker.moved).*, null::int, d.*
  from tasker.describe_steps(
    v_freed.started_tasks || v_again_tasks, v_freed.started_steps || v_again_steps,
    v_freed.started_msgs || v_again_msgs, null
  ) d;
end
$$;
