-- The schema after all migrations, dumped from PostgreSQL 15 by scripts/schema.sh.
-- Nothing reads this file; it shows what the migrations add up to.

-- Name: tasker; Type: SCHEMA; Schema: -

CREATE SCHEMA tasker;

-- Name: moved; Type: TYPE; Schema: tasker

CREATE TYPE tasker.moved AS (
	stale integer[],
	ready_tasks uuid[],
	finished_tasks uuid[],
	cancelled_tasks uuid[],
	woken_queues text[],
	timer_set boolean
);

-- Name: queued_message; Type: TYPE; Schema: tasker

CREATE TYPE tasker.queued_message AS (
	queue_name text,
	msg_id bigint,
	task_uuid uuid,
	step_no integer
);

-- Name: ready_cause; Type: TYPE; Schema: tasker

CREATE TYPE tasker.ready_cause AS ENUM (
    'task_start',
    'step_transition',
    'retry'
);

-- Name: received_step; Type: TYPE; Schema: tasker

CREATE TYPE tasker.received_step AS (
	task_uuid uuid,
	step_no integer,
	msg_id bigint,
	namespace text,
	template text,
	step_name text,
	handler text,
	attempt integer,
	max_attempts integer,
	timeout_ms integer,
	priority integer,
	context jsonb,
	input jsonb,
	dependency_results jsonb,
	expired text
);

-- Name: step_state; Type: TYPE; Schema: tasker

CREATE TYPE tasker.step_state AS ENUM (
    'pending',
    'enqueued',
    'in_progress',
    'waiting_for_retry',
    'complete',
    'error',
    'cancelled',
    'skipped',
    'resolved_manually'
);

-- Name: task_state; Type: TYPE; Schema: tasker

CREATE TYPE tasker.task_state AS ENUM (
    'pending',
    'in_progress',
    'complete',
    'error',
    'cancelled',
    'resolved_manually'
);

-- Name: announce(uuid[], uuid[], text[], boolean, uuid, uuid[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.announce(p_ready_tasks uuid[], p_ended_tasks uuid[], p_queues text[], p_timer_set boolean, p_step_uuid uuid DEFAULT NULL::uuid, p_submitted_tasks uuid[] DEFAULT '{}'::uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  v_task_uuid uuid := p_ready_tasks[1];
  v_steps int := cardinality(p_ready_tasks);
  v_namespace text;
  v_payload text;
begin
  -- A lost wake-up costs a polling interval, a durable commit would cost more.
  perform set_config('synchronous_commit', 'off', true);

  if v_steps > 0 and (v_steps = 1 or v_task_uuid = all(p_ready_tasks)) then
    -- One task: what an idle system announces after each step, and so by the shortest way.
    select tp.namespace,
      tasker.readiness_payload(
        1, t.task_uuid, tp.namespace, t.priority, v_steps, 'step_transition', p_step_uuid,
        'complete', t.state::text
      )
    into v_namespace, v_payload
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where t.task_uuid = v_task_uuid;
    if found then
      perform pg_notify(tasker.channel('task_ready'), v_payload);
      perform pg_notify(tasker.channel('task_ready', v_namespace), v_payload);
    end if;
  elsif v_steps > 0 then
    perform pg_notify(
      tasker.channel('task_ready', case when grouping(tp.namespace) = 0 then tp.namespace end),
      tasker.readiness_payload(
        count(*), min(r.task_uuid::text)::uuid,
        case when count(distinct tp.namespace) = 1 then min(tp.namespace) end,
        max(t.priority), sum(r.ready_steps)::bigint, 'step_transition', p_step_uuid, 'complete',
        min(t.state)::text
      )
    )
    from (
      select u.task_uuid, count(*) as ready_steps
      from unnest(p_ready_tasks) as u(task_uuid)
      group by u.task_uuid
    ) r
    join tasker.tasks t on t.task_uuid = r.task_uuid
    join tasker.templates tp on tp.template_id = t.template_id
    group by grouping sets ((), (tp.namespace))
    having count(*) > 0;
  end if;
  if p_submitted_tasks <> '{}' then
    perform tasker.announce_submitted_tasks(p_submitted_tasks);
  end if;
  if p_ended_tasks <> '{}' then
    perform tasker.announce_ended_tasks(p_ended_tasks);
  end if;
  perform pg_notify('pgmq.q_' || q.name || '.INSERT', '') from unnest(p_queues) as q(name);
  if p_timer_set then
    perform pg_notify(tasker.channel('timer_set'), '{}');
  end if;
end
$$;

-- Name: announce_ended_tasks(uuid[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.announce_ended_tasks(p_task_uuids uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_notify(c.channel, json_strip_nulls(json_build_object(
    'task_state', chunk.state, 'namespace', chunk.namespace,
    'task_uuid', case cardinality(chunk.task_uuids) when 1 then chunk.task_uuids[1] end,
    'task_uuids', chunk.task_uuids
  ))::text)
  from (
    select n.namespace, n.state, array_agg(n.task_uuid) as task_uuids
    from (
      select e.task_uuid, t.state, tp.namespace,
        (row_number() over (partition by tp.namespace, t.state) - 1) / 100 as chunk_no
      from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) e
      join tasker.tasks t on t.task_uuid = e.task_uuid
      join tasker.templates tp on tp.template_id = t.template_id
    ) n
    group by n.namespace, n.state, n.chunk_no
  ) chunk
  cross join lateral (values
    (tasker.channel('task_state')), (tasker.channel('task_state', chunk.namespace))
  ) as c(channel);
end
$$;

-- Name: announce_submitted_tasks(uuid[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.announce_submitted_tasks(p_task_uuids uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_notify(
    tasker.channel('task_ready', case when grouping(tp.namespace) = 0 then tp.namespace end),
    tasker.readiness_payload(
      count(*), min(t.task_uuid::text)::uuid,
      case when count(distinct tp.namespace) = 1 then min(tp.namespace) end,
      max(t.priority), sum(t.active_steps), 'task_start', null, null, min(t.state)::text
    )
  )
  from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) s
  join tasker.tasks t on t.task_uuid = s.task_uuid
  join tasker.templates tp on tp.template_id = t.template_id
  where t.state = 'pending'
  group by grouping sets ((), (tp.namespace))
  having count(*) > 0;
end
$$;

-- Name: apply_template(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.apply_template(p_document jsonb, OUT template_id integer, OUT created boolean) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  v_namespace text := p_document ->> 'namespace';
  v_schema jsonb := nullif(p_document -> 'input_schema', 'null');
  v_refusal text;
  v_body jsonb;
begin
  if v_schema is not null then
    v_refusal := tasker.json_schema_refusal(v_schema);
    if v_refusal is not null then
      raise exception using
        errcode = 'TK400', message = format('input_schema: %s', v_refusal);
    end if;
  end if;

  insert into tasker.namespaces (namespace) values (v_namespace) on conflict do nothing;
  if found then
    perform case when q.unlogged then pgmq.create_unlogged(n.queue_name)
      else pgmq.create(n.queue_name) end
    from tasker.namespaces n, tasker.queue_settings q
    where n.namespace = v_namespace;
  end if;

  insert into tasker.templates as t
    (namespace, name, version, description, input_schema, body, step_count)
  values (
    v_namespace, p_document ->> 'name', p_document ->> 'version', p_document ->> 'description',
    v_schema, p_document, jsonb_array_length(p_document -> 'steps')
  )
  on conflict on constraint a_version_is_applied_once do nothing
  returning t.template_id into apply_template.template_id;
  created := found;

  if not created then
    select t.template_id, t.body into apply_template.template_id, v_body
    from tasker.templates t
    where t.namespace = v_namespace
      and t.name = p_document ->> 'name' and t.version = p_document ->> 'version';
    if v_body <> p_document then
      raise exception using
        errcode = 'TK409',
        message = format(
          'version %s of template %s/%s exists with another body',
          p_document ->> 'version', v_namespace, p_document ->> 'name'
        ),
        hint = 'a version never changes: raise the version';
    end if;
    return;
  end if;

  with step as (
    select ordinality::int as step_no, body
    from jsonb_array_elements(p_document -> 'steps') with ordinality as s(body, ordinality)
  ), edge as (
    select child.step_no as child_no, parent.step_no as parent_no
    from step child
    cross join jsonb_array_elements_text(child.body -> 'depends_on') as d(parent_name)
    join step parent on parent.body ->> 'name' = d.parent_name
  ), parents as (
    select child_no as step_no, array_agg(parent_no order by parent_no) as depends_on
    from edge group by child_no
  ), children as (
    select parent_no as step_no, array_agg(child_no order by child_no) as dependents
    from edge group by parent_no
  )
  insert into tasker.template_steps
  select
    apply_template.template_id, step_no, body ->> 'name', body ->> 'handler', body -> 'input',
    coalesce(parents.depends_on, '{}'), coalesce(children.dependents, '{}'),
    (body #>> '{retry,max_attempts}')::int, body #>> '{retry,backoff}',
    (body #>> '{retry,base_ms}')::bigint, (body #>> '{retry,max_ms}')::bigint,
    (body #>> '{retry,jitter}')::boolean, (body ->> 'timeout_ms')::int
  from step
  left join parents using (step_no)
  left join children using (step_no);
end
$$;

-- Name: be_silent(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.be_silent() RETURNS text
    LANGUAGE plpgsql
    AS $$
declare
  v_before text := coalesce(current_setting('tasker.announce', true), '');
begin
  perform set_config('tasker.announce', 'off', true);
  return v_before;
end
$$;

-- Name: cancel_task(uuid, text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.cancel_task(p_task_uuid uuid, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks;
  v_now timestamptz;
  v_queue text;
  v_msgs bigint[];
begin
  v_task := tasker.lock_task(p_task_uuid);
  if v_task.state = 'cancelled' then
    return;
  end if;
  if v_task.state not in ('pending', 'in_progress', 'error') then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and cannot be cancelled', p_task_uuid, v_task.state);
  end if;
  v_now := tasker.now();

  with waiting as (
    select s.step_no, s.state, s.msg_id from tasker.steps s
    where s.task_uuid = p_task_uuid and s.state in ('pending', 'enqueued', 'waiting_for_retry')
    order by s.step_no
    for no key update
  ), stopped as (
    update tasker.steps s set state = 'cancelled', msg_id = null, finished_at = v_now
    from waiting w
    where s.task_uuid = p_task_uuid and s.step_no = w.step_no
    returning s.step_no, s.attempt, w.state, w.msg_id
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    select p_task_uuid, v_now, step_no, attempt, state, 'cancelled', p_actor, p_reason
    from stopped
  )
  select array_agg(msg_id) filter (where msg_id is not null) into v_msgs from stopped;

  delete from tasker.timers where task_uuid = p_task_uuid;
  -- Rows that a claim holds at this moment are not waited for: it finds them void.
  delete from tasker.ready_steps where ctid = any(array(
    select ctid from tasker.ready_steps
    where task_uuid = p_task_uuid
    for update skip locked
  ));

  update tasker.tasks
  set state = 'cancelled', finished_at = v_now, reason = p_reason,
    active_steps = (
      select count(*) from tasker.steps where task_uuid = p_task_uuid and state = 'in_progress'
    )
  where task_uuid = p_task_uuid;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, v_now, v_task.state, 'cancelled', p_actor, p_reason);

  if v_msgs is not null then
    select n.queue_name into v_queue
    from tasker.templates t join tasker.namespaces n on n.namespace = t.namespace
    where t.template_id = v_task.template_id;
    perform pgmq.delete(v_queue, v_msgs);
  end if;
end
$$;

-- Name: channel(text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.channel(p_event text, p_namespace text DEFAULT NULL::text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  select coalesce(nullif(current_setting('tasker.channel_prefix', true), ''), 'tasker')
    || '_' || p_event || coalesce('.' || p_namespace, '')
$$;

-- Name: claim_ready_tasks(text, integer, text[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.claim_ready_tasks(p_processor text, p_limit integer, p_namespaces text[] DEFAULT NULL::text[]) RETURNS TABLE(task_uuid uuid, namespace text, queue_name text, priority integer, ready_steps integer, ready_for_ms double precision, successor_after_ms double precision)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
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
    )
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    select s.task_uuid, v_now, 'pending', 'in_progress', p_processor from started s;

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

-- Name: claim_task_for_finalization(uuid, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.claim_task_for_finalization(p_task_uuid uuid, p_processor text, OUT finalized boolean, OUT state tasker.task_state) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_now timestamptz := tasker.now();
  v_active int;
  v_failed int;
  v_waiting int;
begin
  finalized := false;
  state := v_task.state;
  if v_task.state not in ('pending', 'in_progress') then
    return;
  end if;

  select
    count(*) filter (
      where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
        or s.state = 'pending' and s.waiting_on = 0
    ),
    count(*) filter (where s.state = 'error'),
    count(*) filter (where s.state = 'pending' and s.waiting_on > 0)
  into v_active, v_failed, v_waiting
  from tasker.steps s
  where s.task_uuid = p_task_uuid;
  if v_active > 0 then
    update tasker.tasks t set active_steps = v_active, failed_steps = v_failed
    where t.task_uuid = p_task_uuid
      and (t.active_steps, t.failed_steps) is distinct from (v_active, v_failed);
    return;
  end if;
  if v_failed = 0 and v_waiting > 0 then
    raise exception using
      errcode = 'TK409',
      message = format('task %s cannot be ended: %s of its steps wait for others, but none of '
        'those can move and none failed', p_task_uuid, v_waiting),
      hint = '`tasker doctor` names what is wrong with them';
  end if;

  finalized := true;
  state := case when v_failed > 0 then 'error' else 'complete' end;
  update tasker.tasks t
  set state = claim_task_for_finalization.state, active_steps = 0, failed_steps = v_failed,
    started_at = coalesce(t.started_at, v_now), finished_at = v_now
  where t.task_uuid = p_task_uuid;
  if v_task.state = 'pending' then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    values (p_task_uuid, v_now, 'pending', 'in_progress', p_processor);
  end if;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, v_now, 'in_progress', state, p_processor, 'nothing of it could move');
end
$$;

-- Name: complete_steps(text, uuid[], integer[], integer[], bigint[], text[], text[], jsonb[], bigint[], boolean[], text[], bigint); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.complete_steps(p_worker text, p_task_uuids uuid[], p_step_nos integer[], p_attempts integer[], p_msg_ids bigint[], p_namespaces text[], p_outcomes text[], p_payloads jsonb[], p_delays_ms bigint[], p_continue boolean[] DEFAULT NULL::boolean[], p_handlers text[] DEFAULT NULL::text[], p_lease_ms bigint DEFAULT NULL::bigint) RETURNS TABLE(stale integer[], ready_tasks uuid[], finished_tasks uuid[], cancelled_tasks uuid[], woken_queues text[], timer_set boolean, task_uuid uuid, step_no integer, msg_id bigint, namespace text, template text, step_name text, handler text, attempt integer, max_attempts integer, timeout_ms integer, priority integer, context jsonb, input jsonb, dependency_results jsonb, expired text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz;
  v_moved tasker.moved;
  v_announce text;
  v_freed record;
  v_positions int[];
  v_tasks uuid[];
  v_steps int[];
  v_templates int[];
  v_states tasker.step_state[];
  v_attempts int[];
  v_active int[];
  v_failed int[];
  v_done_tasks uuid[];
  v_done_steps int[];
  v_done_templates int[];
  v_done_msgs bigint[];
  v_queue record;
  v_again_tasks uuid[];
  v_again_steps int[];
  v_again_msgs bigint[];
begin
  perform 1 from tasker.tasks t
  where t.task_uuid = any(p_task_uuids)
  order by t.task_uuid
  for no key update;
  v_now := tasker.now();

  with report as (
    select r.*, t.state as task_state
    from unnest(p_task_uuids, p_step_nos, p_attempts, p_msg_ids, p_outcomes, p_payloads)
      with ordinality as r(task_uuid, step_no, attempt, msg_id, outcome, payload, position)
    -- Steps are found by their whole keys, as in tasker.describe_steps().
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
  ), moved as (
    update tasker.steps s
    set state = case
        when r.outcome = 'complete' then 'complete'
        when r.task_state = 'cancelled' then 'cancelled'
        when r.outcome = 'retry' and s.attempt < s.max_attempts then 'waiting_for_retry'
        else 'error'
      end::tasker.step_state,
      result = case when r.outcome = 'complete' then r.payload end,
      error = case when r.outcome <> 'complete' then r.payload end,
      finished_at = case
        when r.outcome = 'retry' and s.attempt < s.max_attempts and r.task_state <> 'cancelled'
          then null
        else v_now
      end,
      msg_id = null
    from report r
    where s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.attempt = r.attempt and s.msg_id = r.msg_id and s.state = 'in_progress'
    returning r.position::int, s.task_uuid, s.step_no, s.template_id, s.state, s.attempt, s.error
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, error)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker, error
    from moved
  )
  select array_agg(position), array_agg(task_uuid), array_agg(step_no), array_agg(template_id),
    array_agg(state), array_agg(attempt),
    array_agg(case when state = 'waiting_for_retry' then 0 else -1 end),
    array_agg(case when state = 'error' then 1 else 0 end),
    array_agg(task_uuid) filter (where state = 'complete'),
    array_agg(step_no) filter (where state = 'complete'),
    array_agg(template_id) filter (where state = 'complete'),
    array_agg(case when p_continue[position] then p_msg_ids[position] end)
      filter (where state = 'complete')
  into v_positions, v_tasks, v_steps, v_templates, v_states, v_attempts, v_active, v_failed,
    v_done_tasks, v_done_steps, v_done_templates, v_done_msgs
  from moved;

  v_moved.ready_tasks := '{}';
  v_moved.finished_tasks := '{}';
  v_moved.cancelled_tasks := '{}';
  v_moved.woken_queues := '{}';
  v_moved.timer_set := 'waiting_for_retry' = any(v_states);
  v_moved.stale := '{}';
  if cardinality(p_task_uuids) > coalesce(cardinality(v_positions), 0) then
    v_moved.stale := array(
      select position from generate_series(1, cardinality(p_task_uuids)) as position
      where v_positions is null or position <> all(v_positions)
    );
  end if;
  -- A report that comes again because its answer got lost is told again of the step that followed
  -- then. Whoever hears of it too late runs it in vain: its outcome is stale.
  if p_handlers is not null and v_moved.stale <> '{}' then
    select array_agg(s.task_uuid), array_agg(s.step_no), array_agg(s.msg_id)
    into v_again_tasks, v_again_steps, v_again_msgs
    from unnest(v_moved.stale) as p(position)
    join tasker.steps d
      on d.task_uuid = p_task_uuids[p.position] and d.step_no = p_step_nos[p.position]
    join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
    cross join unnest(ts.dependents) as e(step_no)
    join tasker.steps s on s.task_uuid = d.task_uuid and s.step_no = e.step_no
    where s.msg_id = p_msg_ids[p.position] and s.state = 'in_progress' and s.worker = p_worker;
  end if;
  if v_positions is null then
    v_moved.timer_set := false;
    return query select (v_moved).*, (null::tasker.received_step).*;
    if v_again_tasks is not null then
      return query
      select (null::tasker.moved).*, d.*
      from tasker.describe_steps(v_again_tasks, v_again_steps, v_again_msgs, null) d;
    end if;
    return;
  end if;

  if v_moved.timer_set then
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

  v_announce := tasker.be_silent();
  v_freed := tasker.free_dependents(
    v_done_tasks, v_done_steps, v_done_templates, v_now, p_worker, v_done_msgs, p_handlers,
    p_lease_ms
  );
  v_moved.ready_tasks := v_freed.ready_tasks;

  -- Where each step that moved was followed by one that started in its place, there is nothing to
  -- count and no message to delete.
  if cardinality(v_freed.started_tasks) < cardinality(v_positions)
    or v_freed.ready_tasks <> '{}' then
    v_active := v_active || array_fill(
      1, array[cardinality(v_freed.ready_tasks) + cardinality(v_freed.started_tasks)]
    );
    v_moved.finished_tasks := tasker.count_active(
      v_tasks || v_freed.ready_tasks || v_freed.started_tasks, v_active, v_failed, p_worker, v_now
    );
    for v_queue in
      select n.queue_name as name, array_agg(r.msg_id order by r.msg_id) as msg_ids
      from unnest(v_positions) as p(position),
        lateral (
          select p_namespaces[p.position] as namespace, p_msg_ids[p.position] as msg_id
        ) as r
      join tasker.namespaces n on n.namespace = r.namespace
      where v_freed.started_msgs = '{}'
        or (p_task_uuids[p.position], p_step_nos[p.position]) not in (
          select * from unnest(v_freed.started_tasks, v_freed.followed_steps)
        )
      group by n.queue_name
      order by n.queue_name
    loop
      perform pgmq.delete(v_queue.name, v_queue.msg_ids);
    end loop;
  end if;
  perform set_config('tasker.announce', v_announce, true);

  return query select (v_moved).*, (null::tasker.received_step).*;
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
      perform pgmq.set_vt(
        v_queue.name, v_queue.msg_ids, clock_timestamp() + v_queue.lease_ms * interval '1 ms'
      );
    end loop;
  end if;

  return query
  select (null::tasker.moved).*, d.*
  from tasker.describe_steps(
    v_freed.started_tasks || v_again_tasks, v_freed.started_steps || v_again_steps,
    v_freed.started_msgs || v_again_msgs, null
  ) d;
end
$$;

-- Name: count_active(uuid[], integer[], integer[], text, timestamp with time zone); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.count_active(p_task_uuids uuid[], p_active integer[], p_failed integer[], p_actor text, p_now timestamp with time zone) RETURNS uuid[]
    LANGUAGE plpgsql
    AS $$
declare
  v_task_uuids uuid[];
begin
  with change as (
    select c.task_uuid, sum(c.active)::int as active, coalesce(sum(c.failed), 0)::int as failed
    from unnest(p_task_uuids, p_active, p_failed) as c(task_uuid, active, failed)
    group by c.task_uuid
    having sum(c.active) <> 0 or sum(c.failed) <> 0
  ), counted as (
    update tasker.tasks t
    set active_steps = t.active_steps + c.active,
      failed_steps = t.failed_steps + c.failed,
      state = case
        when t.state <> 'in_progress' or t.active_steps + c.active > 0 then t.state
        when t.failed_steps + c.failed > 0 then 'error'
        else 'complete'
      end,
      finished_at = case
        when t.state <> 'in_progress' or t.active_steps + c.active > 0 then t.finished_at
        else p_now
      end
    from change c
    where t.task_uuid = c.task_uuid
    returning t.task_uuid, t.state, t.active_steps
  ), ended as (
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    select task_uuid, p_now, 'in_progress', state, p_actor
    from counted
    where active_steps = 0 and state in ('complete', 'error')
    returning task_uuid
  )
  select coalesce(array_agg(task_uuid), '{}') into v_task_uuids from ended;
  return v_task_uuids;
end
$$;

-- Name: describe_steps(uuid[], integer[], bigint[], boolean[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.describe_steps(p_task_uuids uuid[], p_step_nos integer[], p_msg_ids bigint[], p_came_back boolean[]) RETURNS SETOF tasker.received_step
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_now timestamptz := tasker.now();
begin
  return query
  select
    h.task_uuid, h.step_no, h.msg_id, tp.namespace,
    tp.namespace || '/' || tp.name || '@' || tp.version, ts.name, ts.handler,
    s.attempt, s.max_attempts, ts.timeout_ms, t.priority, t.context, ts.input,
    case when ts.depends_on = '{}' then '{}' else (
      select coalesce(jsonb_object_agg(ps.name, coalesce(p.result, 'null')), '{}')
      from unnest(ts.depends_on) as d(step_no)
      cross join lateral (
        select ps.name from tasker.template_steps ps
        where ps.template_id = ts.template_id and ps.step_no = d.step_no
        offset 0
      ) ps
      cross join lateral (
        select p.result from tasker.steps p
        where p.task_uuid = h.task_uuid and p.step_no = d.step_no
        offset 0
      ) p
    ) end,
    case
      when h.came_back is not true then null
      when v_now >= s.started_at + ts.timeout_ms * interval '1 ms' then 'timeout'
      else 'lease_expired'
    end
  from unnest(p_task_uuids, p_step_nos, p_msg_ids, p_came_back)
    as h(task_uuid, step_no, msg_id, came_back)
  cross join lateral (
    select * from tasker.steps s where s.task_uuid = h.task_uuid and s.step_no = h.step_no offset 0
  ) s
  cross join lateral (
    select * from tasker.tasks t where t.task_uuid = h.task_uuid offset 0
  ) t
  cross join lateral (
    select * from tasker.template_steps ts
    where ts.template_id = s.template_id and ts.step_no = h.step_no
    offset 0
  ) ts
  join tasker.templates tp on tp.template_id = s.template_id;
end
$$;

-- Name: discard_dead_rows(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.discard_dead_rows(OUT held_back boolean, OUT written text, OUT remaining integer, OUT to_vacuum text[]) RETURNS record
    LANGUAGE plpgsql
    AS $_$
declare
  -- Transactions that began since: a second under full load. Nothing of ours takes so long.
  c_old_horizon constant int := 500;
  -- Ten thousand dead rows or so, which cost a claim some milliseconds.
  c_large_bytes constant bigint := 1024 * 1024;
  -- A vacuum of so much takes some milliseconds too. More is for autovacuum.
  c_small_bytes constant bigint := 64 * 1024 * 1024;
  -- Five times what a row takes: what is copied is little beside what is discarded.
  c_bytes_per_row constant int := 1000;
  -- Copying so many takes less than 100 ms.
  c_most_rows constant int := 10000;
  v_table record;
  v_most int;
  v_count int;
begin
  remaining := 0;
  to_vacuum := '{}';
  select coalesce(max(age(x.xid)), 0) > c_old_horizon into held_back
  from (
    select x.xid from pg_stat_activity a, unnest(array[a.backend_xmin, a.backend_xid]) as x(xid)
    -- A standby that sends feedback has no database.
    where a.datname is null or a.datname = current_database()
    union all select xmin from pg_replication_slots
    union all select transaction from pg_prepared_xacts where database = current_database()
  ) as x(xid);
  if not held_back then
    to_vacuum := array(
      select name::text from unnest(tasker.queue_tables()) as t(name)
      where pg_relation_size(name) between c_large_bytes / 2 and c_small_bytes
    );
    return;
  end if;

  perform set_config('synchronous_commit', 'off', true);
  for v_table in
    select name, pg_relation_size(name) as bytes
    from unnest(tasker.queue_tables()) as t(name)
    where pg_relation_size(name) >= c_large_bytes
    order by bytes desc
  loop
    v_most := least(c_most_rows, v_table.bytes / c_bytes_per_row);
    execute format('select count(*) from (select from %s limit $1) few', v_table.name)
    into v_count using v_most + 1;
    -- One a call, because its lock lasts until the commit.
    if written is null and v_count <= v_most and tasker.write_anew(v_table.name) then
      written := v_table.name;
    else
      remaining := remaining + 1;
    end if;
  end loop;
end
$_$;

-- Name: doctor(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.doctor() RETURNS TABLE(check_name text, task_uuid uuid, step_name text, detail text)
    LANGUAGE plpgsql
    AS $$
declare
  v_table regclass;
begin
  foreach v_table in array tasker.queue_tables() loop
    execute format('lock table %s in access share mode', v_table);
  end loop;
  return query select * from tasker.findings();
end
$$;

-- Name: extend_leases(text, uuid[], integer[], integer[], bigint); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.extend_leases(p_worker text, p_task_uuids uuid[], p_step_nos integer[], p_attempts integer[], p_lease_ms bigint) RETURNS TABLE("position" integer, reason text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_material TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
  v_group record;
begin
  perform set_config('synchronous_commit', 'off', true);

  for v_group in
    with held as materialized (
      select s.step_no, s.template_id, s.msg_id, s.started_at
      from unnest(p_task_uuids, p_step_nos, p_attempts) as l(task_uuid, step_no, attempt)
      join tasker.steps s on s.task_uuid = l.task_uuid and s.step_no = l.step_no
        and s.attempt = l.attempt and s.state = 'in_progress' and s.worker = p_worker
      for no key update of s skip locked
    ), extended as (
      select n.queue_name, h.msg_id,
        least(
          p_lease_ms,
          extract(epoch from
            h.started_at + (ts.timeout_ms + tasker.timeout_grace_ms()) * interval '1 ms' - v_now
          ) * 1000
        )::bigint as extension_ms
      from held h
      join tasker.templates t on t.template_id = h.template_id
      join tasker.namespaces n on n.namespace = t.namespace
      join tasker.template_steps ts on ts.template_id = h.template_id and ts.step_no = h.step_no
    )
    select queue_name as name, extension_ms, array_agg(msg_id order by msg_id) as msg_ids
    from extended
    where extension_ms > 0
    group by queue_name, extension_ms
  loop
    perform pgmq.set_vt(
      v_group.name, v_group.msg_ids,
      clock_timestamp() + v_group.extension_ms * interval '1 ms'
    );
  end loop;

  return query
  select l.position::int,
    case when s.task_uuid is null then 'stale' else 'cancelled' end
  from unnest(p_task_uuids, p_step_nos, p_attempts) with ordinality
    as l(task_uuid, step_no, attempt, position)
  left join tasker.steps s on s.task_uuid = l.task_uuid and s.step_no = l.step_no
    and s.attempt = l.attempt and s.state = 'in_progress' and s.worker = p_worker
  left join tasker.tasks t on t.task_uuid = s.task_uuid
  where s.task_uuid is null or t.state = 'cancelled'
  order by l.position;
end
$$;

-- Name: find_ready_tasks(bigint, integer, text[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.find_ready_tasks(p_age_ms bigint, p_limit integer, p_namespaces text[] DEFAULT NULL::text[]) RETURNS TABLE(task_uuid uuid, namespace text, priority integer, ready_steps integer, ready_for_ms double precision)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
begin
  return query
  select r.task_uuid, t.namespace, r.priority, count(*)::int,
    extract(epoch from v_now - min(r.ready_at))::double precision * 1000
  from (
    select * from (
      select f.* from tasker.ready_steps f
      where p_namespaces is null
      order by f.priority desc, f.ready_no
      limit p_limit
    ) everywhere
    union all
    select * from (
      select f.*
      from unnest(tasker.ready_templates(p_namespaces)) as w(template_id)
      cross join lateral (
        select * from tasker.ready_steps r
        where r.template_id = w.template_id
        order by r.priority desc, r.ready_no
        limit p_limit
      ) f
      where p_namespaces is not null
      order by f.priority desc, f.ready_no
      limit p_limit
    ) there
  ) r
  join tasker.templates t on t.template_id = r.template_id
  where r.ready_at <= v_now - p_age_ms * interval '1 ms'
  group by r.task_uuid, t.namespace, r.priority
  order by r.priority desc, min(r.ready_no);
end
$$;

-- Name: steps; Type: TABLE; Schema: tasker

CREATE TABLE tasker.steps (
    task_uuid uuid NOT NULL,
    msg_id bigint,
    enqueued_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    step_no integer NOT NULL,
    template_id integer NOT NULL,
    state tasker.step_state DEFAULT 'pending'::tasker.step_state NOT NULL,
    waiting_on integer NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    refusals integer DEFAULT 0 NOT NULL,
    worker text,
    result jsonb,
    error jsonb,
    CONSTRAINT a_message_stands_for_a_step_that_is_enqueued_or_held CHECK (((msg_id IS NOT NULL) = (state = ANY (ARRAY['enqueued'::tasker.step_state, 'in_progress'::tasker.step_state])))),
    CONSTRAINT a_step_moves_only_after_those_it_depends_on CHECK (((waiting_on = 0) OR (state = ANY (ARRAY['pending'::tasker.step_state, 'cancelled'::tasker.step_state, 'skipped'::tasker.step_state, 'resolved_manually'::tasker.step_state])))),
    CONSTRAINT waiting_on_is_not_negative CHECK ((waiting_on >= 0))
)
WITH (fillfactor='50');

-- Name: tasks; Type: TABLE; Schema: tasker

CREATE TABLE tasker.tasks (
    task_uuid uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    template_id integer NOT NULL,
    state tasker.task_state DEFAULT 'pending'::tasker.task_state NOT NULL,
    priority integer NOT NULL,
    active_steps integer NOT NULL,
    failed_steps integer DEFAULT 0 NOT NULL,
    context jsonb NOT NULL,
    idempotency_key text,
    reason text,
    listed_as tasker.task_state GENERATED ALWAYS AS (
CASE state
    WHEN 'pending'::tasker.task_state THEN 'in_progress'::tasker.task_state
    ELSE state
END) STORED NOT NULL,
    CONSTRAINT a_complete_task_has_no_failed_step CHECK (((state <> 'complete'::tasker.task_state) OR (failed_steps = 0))),
    CONSTRAINT a_task_that_runs_has_something_that_can_move CHECK (((state <> ALL (ARRAY['pending'::tasker.task_state, 'in_progress'::tasker.task_state])) OR (active_steps > 0))),
    CONSTRAINT an_ended_task_has_an_end CHECK (((state = ANY (ARRAY['pending'::tasker.task_state, 'in_progress'::tasker.task_state])) = (finished_at IS NULL))),
    CONSTRAINT counters_are_not_negative CHECK (((active_steps >= 0) AND (failed_steps >= 0)))
)
WITH (fillfactor='50');

-- Name: find_step(tasker.tasks, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.find_step(p_task tasker.tasks, p_step_name text) RETURNS tasker.steps
    LANGUAGE plpgsql
    AS $$
declare
  v_step tasker.steps;
begin
  select s.* into v_step
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = p_task.template_id and ts.step_no = s.step_no
  where s.task_uuid = p_task.task_uuid and ts.name = p_step_name
  for no key update of s;
  if not found then
    raise exception using
      errcode = 'TK404',
      message = format('task %s has no step named %s', p_task.task_uuid, quote_ident(p_step_name)),
      hint = format('its steps are %s', (
        select string_agg(name, ', ' order by step_no) from (
          select name, step_no from tasker.template_steps
          where template_id = p_task.template_id order by step_no limit 50
        ) few
      ));
  end if;
  return v_step;
end
$$;

-- Name: find_template(text, text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.find_template(p_namespace text, p_name text, p_version text) RETURNS integer
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_template_id int;
  v_versions text;
begin
  select template_id into v_template_id
  from tasker.templates
  where namespace = p_namespace and name = p_name and (p_version is null or version = p_version)
  order by version_order desc
  limit 1;
  if v_template_id is not null then
    return v_template_id;
  end if;

  select string_agg(version, ', ' order by version_order) into v_versions
  from tasker.templates
  where namespace = p_namespace and name = p_name;
  if v_versions is null then
    raise exception using
      errcode = 'TK404',
      message = format('there is no template %s/%s', p_namespace, p_name),
      hint = 'apply it with `tasker template apply FILE`; `tasker template list` shows what there is';
  end if;
  raise exception using
    errcode = 'TK404',
    message = format('template %s/%s has no version %s', p_namespace, p_name, p_version),
    hint = format('its versions are %s', v_versions);
end
$$;

-- Name: findings(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.findings() RETURNS TABLE(check_name text, task_uuid uuid, step_name text, detail text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
declare
  v_messages tasker.queued_message[] := tasker.queued_messages();
begin
  return query
  with satisfied as (
    select s.task_uuid, s.step_no from tasker.steps s
    where s.state in ('complete', 'skipped', 'resolved_manually')
  ), parent as (
    select s.task_uuid, s.step_no, count(*) filter (where d.step_no is null) as unsatisfied
    from tasker.steps s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    cross join unnest(ts.depends_on) as e(parent_no)
    left join satisfied d on d.task_uuid = s.task_uuid and d.step_no = e.parent_no
    group by s.task_uuid, s.step_no
  )
  select 'waiting_on_counts_unsatisfied_parents', s.task_uuid, ts.name,
    format('waiting_on is %s, but %s parents are not satisfied', s.waiting_on,
      coalesce(p.unsatisfied, 0))
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join parent p on p.task_uuid = s.task_uuid and p.step_no = s.step_no
  where s.waiting_on <> coalesce(p.unsatisfied, 0);

  return query
  select 'task_counters_match_steps', t.task_uuid, null::text,
    format('active_steps is %s and failed_steps %s, but the steps amount to %s and %s',
      t.active_steps, t.failed_steps, coalesce(c.active, 0), coalesce(c.failed, 0))
  from tasker.tasks t
  left join (
    select s.task_uuid,
      count(*) filter (
        where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
          or s.state = 'pending' and s.waiting_on = 0
      ) as active,
      count(*) filter (where s.state = 'error') as failed
    from tasker.steps s
    group by s.task_uuid
  ) c on c.task_uuid = t.task_uuid
  where t.active_steps <> coalesce(c.active, 0) or t.failed_steps <> coalesce(c.failed, 0);

  return query
  select 'task_has_all_its_steps', t.task_uuid, null::text,
    format('it has %s steps, its template %s', count(s.step_no), tp.step_count)
  from tasker.tasks t
  join tasker.templates tp on tp.template_id = t.template_id
  left join tasker.steps s on s.task_uuid = t.task_uuid
  group by t.task_uuid, tp.step_count
  having count(s.step_no) <> tp.step_count;

  return query
  select 'task_state_fits_its_steps', t.task_uuid, ts.name,
    format('the task is %s while the step is %s', t.state, s.state)
  from tasker.tasks t
  join tasker.steps s on s.task_uuid = t.task_uuid
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  where t.state = 'complete' and s.state not in ('complete', 'skipped', 'resolved_manually')
    or t.state = 'pending' and s.state <> 'pending'
    or t.state in ('error', 'resolved_manually')
      and s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
    or t.state = 'cancelled' and s.state in ('pending', 'enqueued', 'waiting_for_retry');

  return query
  select 'no_task_is_stuck', s.task_uuid, ts.name,
    case s.state
      when 'pending' then 'it is ready, but nothing offers it to be claimed'
      when 'waiting_for_retry' then 'it waits for a retry that no timer will start'
      else format('it is %s, but message %s is not in its queue', s.state, s.msg_id)
    end
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join tasker.ready_steps r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
  left join tasker.timers w on w.task_uuid = s.task_uuid and w.step_no = s.step_no
  left join unnest(v_messages) m
    on m.task_uuid = s.task_uuid and m.msg_id = s.msg_id
  where s.state = 'pending' and s.waiting_on = 0 and r.ready_no is null
    or s.state = 'waiting_for_retry' and r.ready_no is null and w.due_at is null
    or s.state in ('enqueued', 'in_progress') and m.msg_id is null;

  return query
  select 'no_step_is_offered_twice', r.task_uuid, ts.name, format('%s ready rows', count(*))
  from tasker.ready_steps r
  join tasker.template_steps ts on ts.template_id = r.template_id and ts.step_no = r.step_no
  group by r.task_uuid, ts.name
  having count(*) > 1;

  return query
  select 'every_message_stands_for_a_step', m.task_uuid, null::text,
    format('message %s of %s stands for step %s, which does not wait for it',
      m.msg_id, m.queue_name, m.step_no)
  from unnest(v_messages) m
  left join tasker.steps s
    on s.task_uuid = m.task_uuid and s.msg_id = m.msg_id
  where s.task_uuid is null;

  return query
  select 'no_step_starts_before_its_parents_end', s.task_uuid, ts.name,
    format('it was enqueued at %s, its parent %s ended at %s',
      s.enqueued_at, pts.name, coalesce(p.finished_at::text, 'no time'))
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  cross join unnest(ts.depends_on) as e(parent_no)
  join tasker.steps p on p.task_uuid = s.task_uuid and p.step_no = e.parent_no
  join tasker.template_steps pts on pts.template_id = p.template_id and pts.step_no = p.step_no
  where s.enqueued_at is not null
    and (p.state not in ('complete', 'skipped', 'resolved_manually')
      or p.finished_at > s.enqueued_at);

  return query
  select 'no_step_completes_twice', l.task_uuid, ts.name, format('%s completions', l.completions)
  from (
    select l.task_uuid, l.step_no, count(*) as completions
    from tasker.step_transitions l
    where l.to_state = 'complete'
    group by l.task_uuid, l.step_no
    having count(*) > 1
  ) l
  join tasker.tasks t on t.task_uuid = l.task_uuid
  join tasker.template_steps ts on ts.template_id = t.template_id and ts.step_no = l.step_no;

  return query
  select 'the_log_leads_to_the_state', s.task_uuid, ts.name,
    format('the log goes from %s to %s, but the step is %s',
      coalesce(l.from_state::text, 'nowhere'), coalesce(l.last_state::text, 'pending'), s.state)
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  left join (
    select task_uuid, step_no, last_value(to_state) over moves as last_state, from_state,
      lag(to_state, 1, 'pending') over moves <> from_state as broken,
      row_number() over (partition by task_uuid, step_no order by transition_no desc) as back
    from tasker.step_transitions
    window moves as (partition by task_uuid, step_no order by transition_no)
  ) l on l.task_uuid = s.task_uuid and l.step_no = s.step_no and (l.broken or l.back = 1)
  where l.broken or coalesce(l.last_state, 'pending') <> s.state;

  return query
  select 'the_log_leads_to_the_state', t.task_uuid, null::text,
    format('the log goes from %s to %s, but the task is %s',
      coalesce(l.from_state::text, 'nowhere'), coalesce(l.last_state::text, 'pending'), t.state)
  from tasker.tasks t
  left join (
    select task_uuid, to_state as last_state, from_state,
      lag(to_state, 1, 'pending') over moves <> from_state as broken,
      row_number() over (partition by task_uuid order by transition_no desc) as back
    from tasker.task_transitions
    window moves as (partition by task_uuid order by transition_no)
  ) l on l.task_uuid = t.task_uuid and (l.broken or l.back = 1)
  where l.broken or coalesce(l.last_state, 'pending') <> t.state;
end
$$;

-- Name: fire_due_timers(integer, boolean); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.fire_due_timers(p_limit integer, p_announce boolean DEFAULT false, OUT fired integer, OUT woken_queues text[], OUT next_due_ms bigint) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  v_now timestamptz := tasker.now();
  v_queue text;
  v_due timestamptz;
  v_due_ms bigint;
  v_visible boolean;
  v_clock timestamptz;
  v_announce text;
begin
  perform set_config('synchronous_commit', 'off', true);
  if not exists (select from tasker.queues_intact) then
    perform tasker.refill_queues();
  end if;
  if not p_announce then
    v_announce := tasker.be_silent();
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

  select ceil(extract(epoch from min(due_at) - v_now) * 1000) into next_due_ms from tasker.timers;

  woken_queues := '{}';
  v_clock := clock_timestamp();
  for v_queue in select queue_name from tasker.namespaces order by queue_name loop
    -- A parameter, because a plan that calls clock_timestamp() for each row reads the whole queue.
    execute format(
      'select
        exists (select from pgmq.%1$I where vt <= $1),
        (select min(vt) from pgmq.%1$I where vt > $1)', 'q_' || v_queue
    ) into v_visible, v_due using v_clock;
    if v_visible then
      woken_queues := woken_queues || v_queue;
      perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
    end if;
    v_due_ms := ceil(extract(epoch from v_due - v_clock) * 1000);
    next_due_ms := least(next_due_ms, v_due_ms);
  end loop;
  -- Not greatest(), which would turn "nothing waits" into "due now".
  if next_due_ms < 0 then
    next_due_ms := 0;
  end if;
end
$_$;

-- Name: free_dependents(uuid[], integer[], integer[], timestamp with time zone, text, bigint[], text[], bigint); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.free_dependents(p_task_uuids uuid[], p_step_nos integer[], p_template_ids integer[], p_now timestamp with time zone, p_worker text DEFAULT NULL::text, p_msg_ids bigint[] DEFAULT NULL::bigint[], p_handlers text[] DEFAULT NULL::text[], p_lease_ms bigint DEFAULT NULL::bigint, OUT ready_tasks uuid[], OUT started_tasks uuid[], OUT started_steps integer[], OUT started_msgs bigint[], OUT followed_steps integer[], OUT lease_ms bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
declare
  v_urgent int;
begin
  if p_handlers is not null then
    select r.priority into v_urgent
    from tasker.ready_steps r
    order by r.priority desc, r.ready_no
    limit 1;
  end if;

  with freed as (
    select d.task_uuid, e.step_no, count(*)::int as parents,
      min(d.step_no) filter (where d.msg_id is not null) as parent_no,
      (array_agg(d.msg_id order by d.step_no) filter (where d.msg_id is not null))[1] as msg_id,
      min(ts.timeout_ms) as timeout_ms
    from unnest(p_task_uuids, p_step_nos, p_template_ids, p_msg_ids)
      as d(task_uuid, step_no, template_id, msg_id)
    join tasker.template_steps ts on ts.template_id = d.template_id and ts.step_no = d.step_no
    cross join unnest(ts.dependents) as e(step_no)
    group by d.task_uuid, e.step_no
  ), child as (
    select s.task_uuid, s.step_no, s.template_id, f.parents, f.msg_id, f.parent_no, t.priority,
      s.waiting_on = f.parents and s.state = 'pending' as is_ready,
      f.msg_id is not null and t.state = 'in_progress'
        and (v_urgent is null or t.priority >= v_urgent)
        and s.waiting_on = f.parents and s.state = 'pending'
        and ts.handler = any(p_handlers) as may_start,
      case when least(f.timeout_ms, ts.timeout_ms) + tasker.timeout_grace_ms() < p_lease_ms
        then least(ts.timeout_ms + tasker.timeout_grace_ms(), p_lease_ms) end as lease_ms
    from freed f
    -- By their whole keys, as in tasker.describe_steps().
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = f.task_uuid and s.step_no = f.step_no
      offset 0
    ) s
    cross join lateral (
      select * from tasker.tasks t where t.task_uuid = f.task_uuid offset 0
    ) t
    cross join lateral (
      select * from tasker.template_steps ts
      where ts.template_id = s.template_id and ts.step_no = s.step_no
      offset 0
    ) ts
  ), chosen as (
    select c.*,
      c.may_start and row_number() over (
        partition by c.task_uuid, c.parent_no, c.may_start order by c.step_no
      ) = 1 as starts
    from child c
  ), counted as (
    update tasker.steps s
    set waiting_on = s.waiting_on - c.parents,
      state = case when c.starts then 'in_progress' else s.state end,
      attempt = s.attempt + coalesce(c.starts, false)::int,
      msg_id = case when c.starts then c.msg_id else s.msg_id end,
      worker = case when c.starts then p_worker else s.worker end,
      enqueued_at = case when c.starts then p_now else s.enqueued_at end,
      started_at = case when c.starts then p_now else s.started_at end
    from chosen c
    where s.task_uuid = c.task_uuid and s.step_no = c.step_no
    returning s.task_uuid, s.step_no, s.template_id, s.attempt, s.msg_id, c.parent_no, c.priority,
      c.lease_ms, c.is_ready, coalesce(c.starts, false) as starts
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    select c.task_uuid, p_now, c.step_no, c.attempt, 'pending', 'in_progress', p_worker
    from counted c
    where c.starts
  ), made_ready as (
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
    select c.task_uuid, c.step_no, c.template_id, c.priority, p_now
    from counted c
    where c.is_ready and not c.starts
  )
  select
    coalesce(array_agg(c.task_uuid) filter (where c.is_ready and not c.starts), '{}'),
    coalesce(array_agg(c.task_uuid) filter (where c.starts), '{}'),
    coalesce(array_agg(c.step_no) filter (where c.starts), '{}'),
    coalesce(array_agg(c.msg_id) filter (where c.starts), '{}'),
    coalesce(array_agg(c.parent_no) filter (where c.starts), '{}'),
    coalesce(array_agg(c.lease_ms) filter (where c.starts), '{}')
  into ready_tasks, started_tasks, started_steps, started_msgs, followed_steps, lease_ms
  from counted c;
end
$$;

-- Name: get_task(uuid); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.get_task(p_task_uuid uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
begin
  return (
    select jsonb_build_object(
      'task_uuid', t.task_uuid, 'namespace', tp.namespace, 'name', tp.name, 'version', tp.version,
      'state', t.state, 'priority', t.priority, 'context', t.context,
      'idempotency_key', t.idempotency_key, 'reason', t.reason,
      'created_at', t.created_at, 'started_at', t.started_at, 'finished_at', t.finished_at,
      'execution_status', (
        select execution_status from tasker.get_task_execution_context(t.task_uuid)
      ),
      'steps', (
        select jsonb_agg(
          jsonb_build_object(
            'name', ts.name, 'step_uuid', tasker.step_uuid(s.task_uuid, s.step_no),
            'state', s.state, 'handler', ts.handler,
            'depends_on', array(
              select p.name from tasker.template_steps p
              where p.template_id = ts.template_id and p.step_no = any(ts.depends_on)
              order by p.step_no
            ),
            'attempts', s.attempt, 'max_attempts', s.max_attempts,
            'result', s.result, 'error', s.error, 'worker', s.worker,
            'enqueued_at', s.enqueued_at, 'started_at', s.started_at, 'finished_at', s.finished_at,
            'retry_at', r.due_at
          )
          order by s.step_no
        )
        from tasker.steps s
        join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
        left join tasker.timers r on r.task_uuid = s.task_uuid and r.step_no = s.step_no
        where s.task_uuid = t.task_uuid
      )
    )
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    where t.task_uuid = p_task_uuid
  );
end
$$;

-- Name: get_task_execution_context(uuid); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.get_task_execution_context(p_task_uuid uuid) RETURNS TABLE(task_uuid uuid, total_steps integer, pending_steps integer, ready_steps integer, enqueued_steps integer, in_progress_steps integer, waiting_for_retry_steps integer, completed_steps integer, failed_steps integer, cancelled_steps integer, execution_status text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
begin
  return query
  with counted as (
    select t.task_uuid, t.state,
      count(*)::int as total,
      (count(*) filter (where s.state = 'pending'))::int as pending,
      (count(*) filter (where s.state = 'pending' and s.waiting_on = 0))::int as ready,
      (count(*) filter (where s.state = 'enqueued'))::int as enqueued,
      (count(*) filter (where s.state = 'in_progress'))::int as in_progress,
      (count(*) filter (where s.state = 'waiting_for_retry'))::int as waiting,
      (count(*) filter (
        where s.state in ('complete', 'skipped', 'resolved_manually')
      ))::int as completed,
      (count(*) filter (where s.state = 'error'))::int as failed,
      (count(*) filter (where s.state = 'cancelled'))::int as cancelled
    from tasker.tasks t
    join tasker.steps s on s.task_uuid = t.task_uuid
    where t.task_uuid = p_task_uuid
    group by t.task_uuid
  )
  select task_uuid, total, pending, ready, enqueued, in_progress, waiting, completed, failed,
    cancelled,
    case
      when ready > 0 then 'has_ready_steps'
      when enqueued + in_progress > 0 then 'processing'
      when waiting > 0 then 'waiting'
      when state = 'cancelled' then 'cancelled'
      when failed > 0 then 'blocked_by_failures'
      else 'all_complete'
    end
  from counted;
end
$$;

-- Name: json_path_segment(text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_path_segment(p_key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case when p_key ~ '^[A-Za-z_$][A-Za-z0-9_$-]*$' then '.' || p_key
    else format('[%s]', to_jsonb(left(p_key, 60))) end;
$_$;

-- Name: json_schema_array_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_array_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_length int := jsonb_array_length(p_value);
  v_prefix int := coalesce(jsonb_array_length(p_schema -> 'prefixItems'), 0);
  v_count int := 0;
  v_item jsonb;
  v_index int := 0;
  v_error text;
begin
  if v_length < (p_schema -> 'minItems')::numeric then
    return format(': has fewer than %s items', p_schema -> 'minItems');
  elsif v_length > (p_schema -> 'maxItems')::numeric then
    return format(': has more than %s items', p_schema -> 'maxItems');
  elsif p_schema -> 'uniqueItems' = 'true'
    and v_length > (select count(distinct item) from jsonb_array_elements(p_value) as item)
  then
    return ': has an item twice';
  end if;

  if v_prefix > 0 or p_schema ?| '{items,contains}' then
    for v_item in select jsonb_array_elements(p_value) loop
      v_error := tasker.json_schema_mismatch(
        p_root,
        case when v_index < v_prefix then p_schema -> 'prefixItems' -> v_index
          else coalesce(p_schema -> 'items', 'true') end,
        v_item, p_depth + 1);
      if v_error is not null then
        return format('[%s]%s', v_index, v_error);
      end if;
      if p_schema ? 'contains' then
        v_count := v_count + (tasker.json_schema_mismatch(
          p_root, p_schema -> 'contains', v_item, p_depth + 1) is null)::int;
      end if;
      v_index := v_index + 1;
    end loop;
  end if;

  if p_schema ? 'contains' then
    if v_count < coalesce((p_schema -> 'minContains')::numeric, 1) then
      return format(': has fewer than %s items that match the schema of contains',
        coalesce(p_schema ->> 'minContains', '1'));
    elsif v_count > (p_schema -> 'maxContains')::numeric then
      return format(': has more than %s items that match the schema of contains',
        p_schema -> 'maxContains');
    end if;
  end if;
  return null;
end
$$;

-- Name: json_schema_count_flaw(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_count_flaw(p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case when jsonb_typeof(p_value) <> 'number' then ': expected a whole number from 0'
    when p_value::numeric < 0 or p_value::numeric <> trunc(p_value::numeric)
      then ': expected a whole number from 0' end;
$$;

-- Name: json_schema_error(jsonb, jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_error(p_schema jsonb, p_value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_error text;
begin
  if p_schema is null then
    return null;
  end if;
  v_error := tasker.json_schema_mismatch(p_schema, p_schema, coalesce(p_value, 'null'), 0);
  return case when v_error is not null then regexp_replace(v_error, '^(\.|: )', '') end;
end
$$;

-- Name: json_schema_flaw(jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_flaw(p_root jsonb, p_schema jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $_$
declare
  v_keyword text;
  v_value jsonb;
  v_flaw text;
begin
  if jsonb_typeof(p_schema) = 'boolean' then
    return null;
  elsif jsonb_typeof(p_schema) <> 'object' then
    return format(': expected a schema, found %s', jsonb_typeof(p_schema));
  elsif p_depth > 64 then
    return ': schemas nested deeper than 64';
  end if;
  for v_keyword, v_value in select key, value from jsonb_each(p_schema) loop
    v_flaw := case
      when v_keyword in ('default', 'const') then null
      when v_keyword in ('$schema', '$id', '$defs') and p_depth > 0 then
        ': only allowed at the root of the schema'
      when v_keyword in ('$schema', '$id', '$comment', 'title', 'description', 'pattern') then
        case when jsonb_typeof(v_value) <> 'string' then ': expected a string' end
      when v_keyword in ('deprecated', 'readOnly', 'writeOnly', 'uniqueItems') then
        case when jsonb_typeof(v_value) <> 'boolean' then ': expected true or false' end
      when v_keyword in ('enum', 'examples') then
        case when jsonb_typeof(v_value) <> 'array' then ': expected an array' end
      when v_keyword in ('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum') then
        case when jsonb_typeof(v_value) <> 'number' then ': expected a number' end
      when v_keyword = 'multipleOf' then
        case when v_value is null or jsonb_typeof(v_value) <> 'number' or v_value <= '0' then
          ': expected a number above 0' end
      when v_keyword in (
        'minLength', 'maxLength', 'minItems', 'maxItems', 'minContains', 'maxContains',
        'minProperties', 'maxProperties'
      ) then tasker.json_schema_count_flaw(v_value)
      when v_keyword = 'required' then tasker.json_schema_strings_flaw(v_value)
      when v_keyword = 'type' then tasker.json_schema_type_flaw(v_value)
      when v_keyword = '$ref' then tasker.json_schema_reference_flaw(p_root, v_value)
      when v_keyword in (
        'additionalProperties', 'propertyNames', 'items', 'contains', 'not', 'if', 'then', 'else'
      ) then tasker.json_schema_flaw(p_root, v_value, p_depth + 1)
      when v_keyword in ('prefixItems', 'allOf', 'anyOf', 'oneOf') then
        tasker.json_schema_list_flaw(p_root, v_value, p_depth + 1)
      when v_keyword in ('properties', 'patternProperties', '$defs', 'dependentRequired') then
        tasker.json_schema_map_flaw(p_root, v_keyword, v_value, p_depth + 1)
      else format(': the keyword `%s` is not honoured', v_keyword)
    end;
    if v_flaw is null and v_keyword = 'pattern' then
      v_flaw := tasker.json_schema_pattern_flaw(v_value #>> '{}');
    end if;
    if v_flaw like ': the keyword %' then
      return v_flaw;
    elsif v_flaw is not null then
      return tasker.json_path_segment(v_keyword) || v_flaw;
    end if;
  end loop;
  return null;
end
$_$;

-- Name: json_schema_list_flaw(jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_list_flaw(p_root jsonb, p_schemas jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_flaw text;
begin
  if jsonb_typeof(p_schemas) <> 'array' or p_schemas = '[]' then
    return ': expected an array of schemas, at least one';
  end if;
  for v_index in 0 .. jsonb_array_length(p_schemas) - 1 loop
    v_flaw := tasker.json_schema_flaw(p_root, p_schemas -> v_index, p_depth);
    if v_flaw is not null then
      return format('[%s]%s', v_index, v_flaw);
    end if;
  end loop;
  return null;
end
$$;

-- Name: json_schema_logic_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_logic_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
declare
  v_target jsonb;
  v_error text;
  v_first_error text;
  v_count int := 0;
begin
  if p_schema -> 'const' <> p_value then
    return format(': is not %s', left((p_schema -> 'const')::text, 200));
  end if;
  if p_schema ? 'enum' and p_value not in (select jsonb_array_elements(p_schema -> 'enum')) then
    return format(': is none of %s', left((p_schema -> 'enum')::text, 200));
  end if;

  if p_schema ? '$ref' then
    v_target := tasker.json_schema_reference(p_root, p_schema ->> '$ref');
    if v_target is null then
      raise exception using
        errcode = 'TK400',
        message = format('the input schema has nothing at %s', p_schema ->> '$ref');
    end if;
    v_error := tasker.json_schema_mismatch(p_root, v_target, p_value, p_depth + 1);
    if v_error is not null then
      return v_error;
    end if;
  end if;

  for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'allOf'), 0) - 1 loop
    v_error := tasker.json_schema_mismatch(
      p_root, p_schema -> 'allOf' -> v_index, p_value, p_depth + 1);
    if v_error is not null then
      return v_error;
    end if;
  end loop;

  for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'anyOf'), 0) - 1 loop
    v_error := tasker.json_schema_mismatch(
      p_root, p_schema -> 'anyOf' -> v_index, p_value, p_depth + 1);
    exit when v_error is null;
    v_first_error := coalesce(v_first_error, v_error);
  end loop;
  if v_error is not null then
    return format(': matches no schema of anyOf; the first says %s',
      regexp_replace(v_first_error, '^(\.|: )', ''));
  end if;

  if p_schema ? 'oneOf' then
    v_first_error := null;
    for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'oneOf'), 0) - 1 loop
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'oneOf' -> v_index, p_value, p_depth + 1);
      v_count := v_count + (v_error is null)::int;
      v_first_error := coalesce(v_first_error, v_error);
    end loop;
    if v_count = 0 then
      return format(': matches no schema of oneOf; the first says %s',
        regexp_replace(v_first_error, '^(\.|: )', ''));
    elsif v_count > 1 then
      return format(': matches %s schemas of oneOf, not one', v_count);
    end if;
  end if;

  if p_schema ? 'not'
    and tasker.json_schema_mismatch(p_root, p_schema -> 'not', p_value, p_depth + 1) is null
  then
    return ': matches the schema of not';
  end if;

  if p_schema ? 'if' and p_schema ?| '{then,else}' then
    v_target := p_schema -> case
      when tasker.json_schema_mismatch(p_root, p_schema -> 'if', p_value, p_depth + 1) is null
        then 'then'
      else 'else' end;
    if v_target is not null then
      return tasker.json_schema_mismatch(p_root, v_target, p_value, p_depth + 1);
    end if;
  end if;
  return null;
end
$_$;

-- Name: json_schema_map_flaw(jsonb, text, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_map_flaw(p_root jsonb, p_keyword text, p_map jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_key text;
  v_value jsonb;
  v_flaw text;
begin
  if jsonb_typeof(p_map) <> 'object' then
    return format(': expected an object, found %s', jsonb_typeof(p_map));
  end if;
  for v_key, v_value in select key, value from jsonb_each(p_map) loop
    if p_keyword = 'patternProperties' then
      v_flaw := tasker.json_schema_pattern_flaw(v_key);
    end if;
    v_flaw := coalesce(v_flaw, case p_keyword
      when 'dependentRequired' then tasker.json_schema_strings_flaw(v_value)
      else tasker.json_schema_flaw(p_root, v_value, p_depth) end);
    if v_flaw is not null then
      return tasker.json_path_segment(v_key) || v_flaw;
    end if;
  end loop;
  return null;
end
$$;

-- Name: json_schema_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $_$
declare
  v_kind text := jsonb_typeof(p_value);
  v_type text;
  v_key text;
  v_error text;
begin
  if jsonb_typeof(p_schema) = 'boolean' then
    return case when not p_schema::boolean then ': is not allowed' end;
  end if;
  if p_depth > 64 then
    raise exception using
      errcode = 'TK400',
      message = 'the input schema applies more than 64 schemas inside each other',
      hint = 'does a $ref lead back to itself without going deeper into the value?';
  end if;

  v_type := p_schema ->> 'type';
  if v_type <> v_kind and not (
    p_schema -> 'type' @> to_jsonb(v_kind)
    or v_kind = 'number' and p_schema -> 'type' @> '"integer"'
      and p_value::numeric = trunc(p_value::numeric)
  ) then
    return format(': expected %s, found %s', replace(translate(v_type, '[]"', ''), ',', ' or'),
      case v_kind when 'number' then left(p_value::text, 40) else v_kind end);
  end if;

  if p_schema ?| '{enum,const,$ref,allOf,anyOf,oneOf,not,if}' then
    v_error := tasker.json_schema_logic_mismatch(p_root, p_schema, p_value, p_depth);
    if v_error is not null then
      return v_error;
    end if;
  end if;

  case v_kind
    when 'object' then
      for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'required'), 0) - 1 loop
        v_key := p_schema -> 'required' ->> v_index;
        if not p_value ? v_key then
          return tasker.json_path_segment(v_key) || ': is missing';
        end if;
      end loop;
      if p_schema ? 'properties' then
        select tasker.json_path_segment(found.key) || found.error into v_error
        from (
          select
            key,
            tasker.json_schema_mismatch(p_root, value, p_value -> key, p_depth + 1) as error
          from jsonb_each(p_schema -> 'properties')
          where p_value ? key
        ) as found
        where found.error is not null
        limit 1;
        if found then
          return v_error;
        end if;
      end if;
      if p_schema ?| '{additionalProperties,patternProperties,propertyNames,dependentRequired,
        minProperties,maxProperties}'
      then
        return tasker.json_schema_object_mismatch(p_root, p_schema, p_value, p_depth);
      end if;
    when 'array' then
      return tasker.json_schema_array_mismatch(p_root, p_schema, p_value, p_depth);
    when 'string' then
      return case
        when char_length(p_value #>> '{}') < (p_schema -> 'minLength')::numeric then
          format(': is shorter than %s characters', p_schema -> 'minLength')
        when char_length(p_value #>> '{}') > (p_schema -> 'maxLength')::numeric then
          format(': is longer than %s characters', p_schema -> 'maxLength')
        when p_value #>> '{}' !~ (p_schema ->> 'pattern') then
          format(': does not match the pattern %s', p_schema ->> 'pattern')
      end;
    when 'number' then
      return case
        when p_value::numeric < (p_schema -> 'minimum')::numeric then
          format(': is less than %s', p_schema -> 'minimum')
        when p_value::numeric > (p_schema -> 'maximum')::numeric then
          format(': is more than %s', p_schema -> 'maximum')
        when p_value::numeric <= (p_schema -> 'exclusiveMinimum')::numeric then
          format(': is not more than %s', p_schema -> 'exclusiveMinimum')
        when p_value::numeric >= (p_schema -> 'exclusiveMaximum')::numeric then
          format(': is not less than %s', p_schema -> 'exclusiveMaximum')
        when mod(p_value::numeric, (p_schema -> 'multipleOf')::numeric) <> 0 then
          format(': is not a multiple of %s', p_schema -> 'multipleOf')
      end;
    else
      return null;
  end case;
  return null;
end
$_$;

-- Name: json_schema_object_mismatch(jsonb, jsonb, jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_object_mismatch(p_root jsonb, p_schema jsonb, p_value jsonb, p_depth integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_count int;
  v_key text;
  v_item jsonb;
  v_pattern text;
  v_pattern_schema jsonb;
  v_is_additional boolean;
  v_error text;
begin
  if p_schema ?| '{minProperties,maxProperties}' then
    select count(*) into v_count from jsonb_object_keys(p_value);
    if v_count < (p_schema -> 'minProperties')::numeric then
      return format(': has fewer than %s properties', p_schema -> 'minProperties');
    elsif v_count > (p_schema -> 'maxProperties')::numeric then
      return format(': has more than %s properties', p_schema -> 'maxProperties');
    end if;
  end if;

  if p_schema ? 'dependentRequired' then
    select format('%s: is missing, because %s is given',
      tasker.json_path_segment(required.key), to_jsonb(given.key))
    into v_error
    from jsonb_each(p_schema -> 'dependentRequired') as given(key, keys)
    cross join jsonb_array_elements_text(given.keys) as required(key)
    where p_value ? given.key and not p_value ? required.key
    limit 1;
    if found then
      return v_error;
    end if;
  end if;

  if not p_schema ?| '{additionalProperties,patternProperties,propertyNames}' then
    return null;
  end if;
  for v_key, v_item in select key, value from jsonb_each(p_value) loop
    if p_schema ? 'propertyNames' then
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'propertyNames', to_jsonb(v_key), p_depth + 1);
      if v_error is not null then
        return format('%s: the name %s', tasker.json_path_segment(v_key), substr(v_error, 3));
      end if;
    end if;
    v_is_additional := not coalesce(p_schema -> 'properties' ? v_key, false);
    if p_schema ? 'patternProperties' then
      for v_pattern, v_pattern_schema in
        select key, value from jsonb_each(p_schema -> 'patternProperties') where v_key ~ key
      loop
        v_is_additional := false;
        v_error := tasker.json_schema_mismatch(p_root, v_pattern_schema, v_item, p_depth + 1);
        if v_error is not null then
          return tasker.json_path_segment(v_key) || v_error;
        end if;
      end loop;
    end if;
    if v_is_additional and p_schema ? 'additionalProperties' then
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'additionalProperties', v_item, p_depth + 1);
      if v_error is not null then
        return tasker.json_path_segment(v_key) || v_error;
      end if;
    end if;
  end loop;
  return null;
end
$$;

-- Name: json_schema_pattern_flaw(text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_pattern_flaw(p_pattern text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  if tasker.may_refer_back(p_pattern) then
    return format(': a backreference like `\1` can take exponential time, in %s '
      '(write out what it repeats, or check it in a handler)', p_pattern);
  end if;
  perform '' ~ p_pattern;
  return null;
exception when invalid_regular_expression then
  return format(': %s, in %s', sqlerrm, p_pattern);
end
$$;

-- Name: json_schema_reference(jsonb, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_reference(p_root jsonb, p_reference text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when p_reference = '#' then p_root
    when p_reference ~ '^#/\$defs/[^/%]*$' then
      p_root -> '$defs' -> replace(replace(substr(p_reference, 9), '~1', '/'), '~0', '~')
  end;
$_$;

-- Name: json_schema_reference_flaw(jsonb, jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_reference_flaw(p_root jsonb, p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case
    when jsonb_typeof(p_value) <> 'string' then ': expected a string'
    when tasker.json_schema_reference(p_root, p_value #>> '{}') is null then
      format(': there is nothing at %s; references are # and #/$defs/name', p_value)
  end;
$_$;

-- Name: json_schema_refusal(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_refusal(p_schema jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return regexp_replace(tasker.json_schema_flaw(p_schema, p_schema, 0), '^(\.|: )', '');
end
$$;

-- Name: json_schema_strings_flaw(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_strings_flaw(p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
  select case when jsonb_typeof(p_value) <> 'array'
    or jsonb_path_exists(p_value, 'strict $[*] ? (@.type() != "string")')
    then ': expected an array of strings' end;
$_$;

-- Name: json_schema_type_flaw(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.json_schema_type_flaw(p_value jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select case
    when p_value = '[]'
      or not p_value <@ '["null", "boolean", "object", "array", "number", "integer", "string"]'
    then ': expected the name of a type or an array of names' end;
$$;

-- Name: list_queues(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.list_queues() RETURNS TABLE(namespace text, queue_name text, length bigint, visible bigint, oldest_message_age_seconds double precision, refusals bigint)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
begin
  for namespace, queue_name in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    return query execute format(
      'select %L::text, %L::text, count(*), count(*) filter (where q.vt <= clock_timestamp()),
        extract(epoch from clock_timestamp() - min(q.enqueued_at))::double precision,
        coalesce(sum(s.refusals), 0)::bigint
      from pgmq.%I q
      left join tasker.steps s
        on s.task_uuid = (q.message ->> ''task_uuid'')::uuid
        and s.step_no = (q.message ->> ''step_no'')::int',
      namespace, queue_name, 'q_' || queue_name
    );
  end loop;
end
$$;

-- Name: list_tasks(text, text, tasker.task_state, uuid, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.list_tasks(p_namespace text, p_name text, p_state tasker.task_state, p_before uuid, p_limit integer) RETURNS SETOF jsonb
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $_$
declare
  v_templates int[];
  v_state text;
  v_listed_as tasker.task_state := case p_state when 'pending' then 'in_progress' else p_state end;
  v_before text;
begin
  if p_namespace is not null or p_name is not null then
    v_templates := array(
      select template_id from tasker.templates
      where (p_namespace is null or namespace = p_namespace) and (p_name is null or name = p_name)
    );
  end if;
  -- The restrictions are spelled out so that each combination is planned by itself. Of each
  -- template the latest are taken before all are merged: nothing else finds those of a template
  -- that was last used long ago. Where there is a choice, pages begin by comparing rows, which only
  -- the index that is meant can do.
  v_state := case
    when p_state = 'complete' then ' and t.state = ''complete'''
    when p_state is not null then ' and t.state = ' || quote_literal(p_state)
      || ' and t.listed_as = ' || quote_literal(v_listed_as)
    else ''
  end;
  v_before := case
    when p_before is null and v_templates is null then ''
    when p_state <> 'complete' then ' and (t.listed_as, t.task_uuid) < ('
      || quote_literal(v_listed_as) || ', $2)'
    when v_templates is null then ' and t.task_uuid < $2'
    else ' and (t.template_id, t.task_uuid) < (w.template_id, $2)'
  end;
  return query execute
    'select jsonb_build_object(
      ''task_uuid'', t.task_uuid, ''namespace'', tp.namespace, ''name'', tp.name,
      ''version'', tp.version, ''state'', t.state, ''priority'', t.priority,
      ''created_at'', t.created_at, ''started_at'', t.started_at, ''finished_at'', t.finished_at
    )
    from '
    || case when v_templates is null then '(
      select * from tasker.tasks t where true' || v_state || v_before || '
      order by t.task_uuid desc limit $3
    ) t' else 'unnest($1) as w(template_id)
    cross join lateral (
      select * from tasker.tasks t where t.template_id = w.template_id' || v_state || v_before || '
      order by t.task_uuid desc limit $3
    ) t' end || '
    join tasker.templates tp on tp.template_id = t.template_id
    order by t.task_uuid desc limit $3'
    using v_templates, coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), p_limit;
end
$_$;

-- Name: lock_task(uuid); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.lock_task(p_task_uuid uuid) RETURNS tasker.tasks
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks;
begin
  select * into v_task from tasker.tasks where task_uuid = p_task_uuid for no key update;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  return v_task;
end
$$;

-- Name: may_refer_back(text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.may_refer_back(p_pattern text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select p_pattern ~ '^([^\\]|\\.)*\\[1-9]|^([^\\]|\\[^c]|\\c.)*\\[1-9]';
$$;

-- Name: new_task_uuid(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.new_task_uuid() RETURNS uuid
    LANGUAGE sql
    AS $$
  select encode(
    overlay(
      set_bit(set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
          from 1 for 6
        ), 52, 1), 53, 1)
      placing '\x0000'::bytea from 15 for 2
    ), 'hex')::uuid
$$;

-- Name: notify_namespace_created(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.notify_namespace_created() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform pg_notify(
    tasker.channel('namespace_created'), jsonb_build_object('namespace', namespace)::text
  )
  from new_rows;
  return null;
end
$$;

-- Name: notify_task_ready_on_step_transition(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.notify_task_ready_on_step_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  -- The step that an operator has just moved in this transaction: its UUID and its state.
  v_moved text[] := string_to_array(nullif(current_setting('tasker.moved_step', true), ''), ' ');
  v_step_uuid uuid := v_moved[1];
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform pg_notify(
    tasker.channel('task_ready', case when grouping(t.namespace) = 0 then t.namespace end),
    tasker.readiness_payload(
      count(distinct r.task_uuid), min(r.task_uuid::text)::uuid,
      case when count(distinct t.namespace) = 1 then min(t.namespace) end,
      max(r.priority), count(*),
      case when bool_and(r.cause = 'task_start') then 'task_start' else 'step_transition' end,
      case when tasker.step_uuid(min(r.task_uuid::text)::uuid, 0)
        = tasker.step_uuid(v_step_uuid, 0) then v_step_uuid end,
      v_moved[2],
      case when count(distinct r.task_uuid) = 1 then (
        select k.state::text from tasker.tasks k where k.task_uuid = min(r.task_uuid::text)::uuid
      ) end
    )
  )
  from new_rows r
  join tasker.templates t on t.template_id = r.template_id
  group by grouping sets ((), (t.namespace))
  having count(*) > 0;
  return null;
end
$$;

-- Name: notify_task_state_change(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.notify_task_state_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform tasker.announce_ended_tasks(array(
    select task_uuid from new_rows where to_state not in ('pending', 'in_progress')
  ));
  return null;
end
$$;

-- Name: now(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.now() RETURNS timestamp with time zone
    LANGUAGE sql
    AS $$
  select coalesce(
    nullif(current_setting('tasker.now', true), '')::timestamptz,
    clock_timestamp()
  )
$$;

-- Name: queue_tables(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.queue_tables() RETURNS regclass[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return '{tasker.ready_steps, tasker.timers}'::regclass[] || array(
    select c.oid::regclass
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    order by n.queue_name
  );
end
$$;

-- Name: queued_messages(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.queued_messages() RETURNS tasker.queued_message[]
    LANGUAGE plpgsql STABLE
    AS $$
declare
  v_all tasker.queued_message[] := '{}';
  v_some tasker.queued_message[];
  v_queue text;
begin
  for v_queue in select queue_name from tasker.namespaces loop
    execute format(
      'select array_agg(row(
        %L, msg_id, (message ->> ''task_uuid'')::uuid, (message ->> ''step_no'')::int
      )::tasker.queued_message)
      from pgmq.%I', v_queue, 'q_' || v_queue
    ) into v_some;
    v_all := v_all || coalesce(v_some, '{}');
  end loop;
  return v_all;
end
$$;

-- Name: readiness_payload(bigint, uuid, text, integer, bigint, text, uuid, text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.readiness_payload(p_tasks bigint, p_task_uuid uuid, p_namespace text, p_priority integer, p_ready_steps bigint, p_triggered_by text, p_step_uuid uuid, p_step_state text, p_task_state text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
  select json_strip_nulls(json_build_object(
    'task_count', p_tasks,
    'task_uuid', case p_tasks when 1 then p_task_uuid end,
    'namespace', p_namespace,
    'priority', p_priority,
    'ready_steps', p_ready_steps,
    'triggered_by', p_triggered_by,
    'step_uuid', case p_tasks when 1 then p_step_uuid end,
    'step_state', case when p_tasks = 1 and p_step_uuid is not null then p_step_state end,
    'task_state', case p_tasks when 1 then p_task_state end
  ))::text
$$;

-- Name: ready_templates(text[]); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.ready_templates(p_namespaces text[]) RETURNS integer[]
    LANGUAGE plpgsql STABLE
    AS $$
begin
  return array(
    with recursive present as (
      (select r.template_id from tasker.ready_steps r order by r.template_id limit 1)
      union all
      select (
        select r.template_id from tasker.ready_steps r
        where r.template_id > p.template_id
        order by r.template_id
        limit 1
      )
      from present p
      where p.template_id is not null
    )
    select t.template_id
    from present p
    join tasker.templates t on t.template_id = p.template_id
    where t.namespace = any(p_namespaces)
  );
end
$$;

-- Name: receive_steps(text[], text, integer, bigint); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.receive_steps(p_namespaces text[], p_worker text, p_limit integer, p_lease_ms bigint) RETURNS SETOF tasker.received_step
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'off'
    SET jit TO 'off'
    AS $_$
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
$_$;

-- Name: recent_transitions(bigint[], bigint[], bigint[], bigint[], uuid, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.recent_transitions(p_task_from bigint[], p_task_to bigint[], p_step_from bigint[], p_step_to bigint[], p_submitted_after uuid, p_limit integer) RETURNS TABLE(transition_no bigint, at timestamp with time zone, task_uuid uuid, namespace text, template text, step_no integer, step_name text, attempt integer, from_state text, to_state text, actor text, reason text, error text)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  with moved as (
    select t.transition_no, t.at, t.task_uuid, null::int as step_no, null::int as attempt,
      t.from_state::text, t.to_state::text, t.actor, t.reason, null::text as error
    from unnest(p_task_from, p_task_to) as r(first, last)
    join tasker.task_transitions t on t.transition_no between r.first and r.last
    union all
    select s.transition_no, s.at, s.task_uuid, s.step_no, s.attempt,
      s.from_state::text, s.to_state::text, s.actor, s.reason, s.error ->> 'kind'
    from unnest(p_step_from, p_step_to) as r(first, last)
    join tasker.step_transitions s on s.transition_no between r.first and r.last
    union all
    select null, n.created_at, n.task_uuid, null, null, null, 'pending', null, null, null
    from (
      select n.created_at, n.task_uuid from tasker.tasks n
      where n.task_uuid > p_submitted_after
      order by n.task_uuid
      limit p_limit
    ) n
  )
  select m.transition_no, m.at, m.task_uuid, t.namespace,
    t.namespace || '/' || t.name || '@' || t.version, m.step_no, ts.name, m.attempt, m.from_state,
    m.to_state, m.actor, m.reason, m.error
  from moved m
  join tasker.tasks k on k.task_uuid = m.task_uuid
  join tasker.templates t on t.template_id = k.template_id
  left join tasker.template_steps ts on ts.template_id = k.template_id and ts.step_no = m.step_no;
end
$$;

-- Name: refill_queues(integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.refill_queues(p_lease_ms integer DEFAULT 30000) RETURNS integer
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET enable_sort TO 'on'
    SET jit TO 'off'
    AS $_$
declare
  v_emptied int[];
  v_tasks uuid[];
  v_templates int[];
  v_queue record;
  v_made int;
  v_all int := 0;
begin
  perform pg_advisory_xact_lock(hashtext('tasker.refill_queues'));
  if exists (select from tasker.queues_intact) then
    return 0;
  end if;

  v_emptied := array(
    select t.template_id
    from tasker.templates t
    join tasker.namespaces n on n.namespace = t.namespace
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where c.relpersistence = 'u'
  );
  -- Steps move under the lock of their task, so none ends between the look at it and its message.
  select array_agg(a.task_uuid), array_agg(a.template_id) into v_tasks, v_templates
  from (
    select t.task_uuid, t.template_id
    from tasker.tasks t
    where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
      and t.template_id = any(v_emptied)
    order by t.task_uuid
    for no key update
  ) a;
  for v_queue in
    select 'q_' || n.queue_name as name,
      array(
        select t.template_id from tasker.templates t where t.namespace = n.namespace
      ) as templates
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where c.relpersistence = 'u'
    order by n.queue_name
  loop
    execute format(
      'insert into pgmq.%I (msg_id, vt, message) overriding system value
      select s.msg_id,
        clock_timestamp()
          + case s.state when ''in_progress'' then $2 else 0 end * interval ''1 ms'',
        jsonb_build_object(''task_uuid'', s.task_uuid, ''step_no'', s.step_no)
      from unnest($1, $3) as w(task_uuid, template_id)
      cross join lateral (
        select * from tasker.steps s
        where s.task_uuid = w.task_uuid and s.msg_id is not null
        offset 0
      ) s
      where w.template_id = any($4)
      order by s.enqueued_at
      on conflict do nothing', v_queue.name
    ) using v_tasks, p_lease_ms, v_templates, v_queue.templates;
    get diagnostics v_made = row_count;
    v_all := v_all + v_made;
    -- An unlogged sequence has begun anew.
    execute format(
      'select setval(pg_get_serial_sequence(%1$L, ''msg_id''), greatest(
        (select max(msg_id) from pgmq.%2$I), nextval(pg_get_serial_sequence(%1$L, ''msg_id''))
      ))', format('pgmq.%I', v_queue.name), v_queue.name
    );
    perform pg_notify('pgmq.' || v_queue.name || '.INSERT', '');
  end loop;
  insert into tasker.queues_intact values (clock_timestamp());
  return v_all;
end
$_$;

-- Name: release_steps(text, uuid[], integer[], integer[], bigint[], text[], boolean[], bigint, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.release_steps(p_worker text, p_task_uuids uuid[], p_step_nos integer[], p_attempts integer[], p_msg_ids bigint[], p_namespaces text[], p_refused boolean[], p_delay_ms bigint, p_max_refusals integer) RETURNS tasker.moved
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
declare
  v_now timestamptz;
  v_moved tasker.moved;
  v_announce text := tasker.be_silent();
  v_released record;
  v_group record;
begin
  perform 1 from tasker.tasks t
  where t.task_uuid = any(p_task_uuids)
  order by t.task_uuid
  for no key update;
  v_now := tasker.now();

  with release as (
    select *
    from unnest(p_task_uuids, p_step_nos, p_attempts, p_msg_ids, p_refused) with ordinality
      as r(task_uuid, step_no, attempt, msg_id, refused, position)
  ), judged as (
    select r.position::int, r.refused, s.task_uuid, s.step_no, s.attempt, s.msg_id,
      case
        when t.state = 'cancelled' then 'cancelled'
        when r.refused and s.refusals + 1 >= p_max_refusals then 'error'
        else 'enqueued'
      end::tasker.step_state as state,
      case when r.refused then jsonb_build_object(
        'kind', 'unknown_handler',
        'message', format(
          'no worker that received the step knows the handler %s (refused %s times, last by %s)',
          quote_literal(ts.handler), s.refusals + 1, p_worker
        )
      ) end as error
    from release r
    join tasker.steps s on s.task_uuid = r.task_uuid and s.step_no = r.step_no
      and s.attempt = r.attempt and s.msg_id = r.msg_id
      and s.state = 'in_progress' and s.worker = p_worker
    cross join lateral (
      select t.state from tasker.tasks t where t.task_uuid = r.task_uuid offset 0
    ) t
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  ), moved as (
    update tasker.steps s
    set state = j.state,
      attempt = case when j.state = 'error' then s.attempt else s.attempt - 1 end,
      refusals = s.refusals + j.refused::int,
      error = coalesce(j.error, s.error),
      msg_id = case when j.state = 'enqueued' then s.msg_id end,
      started_at = case when j.state = 'error' then s.started_at end,
      worker = case when j.state = 'error' then s.worker end,
      finished_at = case when j.state <> 'enqueued' then v_now end
    from judged j
    where s.task_uuid = j.task_uuid and s.step_no = j.step_no
    returning j.position, j.refused, s.task_uuid, s.step_no, j.attempt, s.state, j.error
  ), logged as (
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason, error)
    select task_uuid, v_now, step_no, attempt, 'in_progress', state, p_worker,
      case when refused then 'refused: unknown handler' else 'released unstarted' end, error
    from moved
  )
  select coalesce(array_agg(position), '{}') as positions,
    coalesce(array_agg(position) filter (where state = 'enqueued'), '{}') as back,
    coalesce(array_agg(task_uuid) filter (where state <> 'enqueued'), '{}') as ended,
    coalesce(array_agg((state = 'error')::int) filter (where state <> 'enqueued'), '{}') as failed
  into v_released
  from moved;

  v_moved.ready_tasks := '{}';
  v_moved.cancelled_tasks := '{}';
  v_moved.timer_set := false;
  v_moved.stale := array(
    select position from generate_series(1, cardinality(p_task_uuids)) as position
    where position <> all(v_released.positions)
  );
  v_moved.finished_tasks := tasker.count_active(
    v_released.ended, array_fill(-1, array[cardinality(v_released.ended)]), v_released.failed,
    p_worker, v_now
  );
  perform set_config('tasker.announce', v_announce, true);

  v_moved.woken_queues := '{}';
  for v_group in
    select n.queue_name as name, p.position = any(v_released.back) as back,
      p_refused[p.position] as refused,
      array_agg(p_msg_ids[p.position] order by p_msg_ids[p.position]) as msg_ids
    from unnest(v_released.positions) as p(position)
    join tasker.namespaces n on n.namespace = p_namespaces[p.position]
    group by 1, 2, 3
    order by 1, 2, 3
  loop
    if not v_group.back then
      perform pgmq.delete(v_group.name, v_group.msg_ids);
    elsif v_group.refused then
      perform pgmq.set_vt(
        v_group.name, v_group.msg_ids, clock_timestamp() + p_delay_ms * interval '1 ms'
      );
      v_moved.timer_set := true;
    else
      perform pgmq.set_vt(v_group.name, v_group.msg_ids, clock_timestamp());
      v_moved.woken_queues := v_moved.woken_queues || v_group.name;
    end if;
  end loop;
  return v_moved;
end
$$;

-- Name: resolve_task(uuid, text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.resolve_task(p_task_uuid uuid, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
begin
  if v_task.state <> 'error' then
    raise exception using
      errcode = 'TK409',
      message = format('task %s is %s and cannot be resolved by hand', p_task_uuid, v_task.state),
      hint = 'only a task in error can be';
  end if;
  update tasker.tasks set state = 'resolved_manually', reason = p_reason
  where task_uuid = p_task_uuid;
  insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
  values (p_task_uuid, tasker.now(), 'error', 'resolved_manually', p_actor, p_reason);
end
$$;

-- Name: retry_delay_ms(text, bigint, bigint, boolean, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.retry_delay_ms(p_backoff text, p_base_ms bigint, p_max_ms bigint, p_jitter boolean, p_attempt integer) RETURNS bigint
    LANGUAGE sql
    AS $$
  select round(least(
    p_max_ms,
    p_base_ms * case p_backoff
      when 'fixed' then 1
      when 'linear' then p_attempt
      else 2.0 ^ least(p_attempt - 1, 40)
    end
  ) * case when p_jitter then 0.5 + random() / 2 else 1 end)::bigint
$$;

-- Name: retry_step(uuid, text, text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.retry_step(p_task_uuid uuid, p_step_name text, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step tasker.steps := tasker.find_step(v_task, p_step_name);
  v_now timestamptz := tasker.now();
begin
  if v_task.state not in ('in_progress', 'error')
    or v_step.state not in ('error', 'waiting_for_retry') then
    raise exception using
      errcode = 'TK409',
      message = format(
        'step %s is %s in a task that is %s and cannot be retried',
        p_step_name, v_step.state, v_task.state
      ),
      hint = case
        when v_task.state in ('complete', 'cancelled', 'resolved_manually') then
          format('a task that is %s does not go on; submit it anew', v_task.state)
        when v_step.state = 'in_progress' then
          'wait until its attempt has ended, or cancel the task'
        when v_step.state = 'enqueued' or v_step.state = 'pending' and v_step.waiting_on = 0 then
          'it runs as soon as a worker has a place for it'
        when v_step.state = 'pending' then
          'it runs once the steps it depends on have ended well; '
            'if one of those failed, retry that one'
        else 'it has ended well; submit the task anew to run it again' end;
  end if;

  if v_step.state = 'waiting_for_retry' then
    delete from tasker.timers where task_uuid = p_task_uuid and step_no = v_step.step_no;
    if not found then
      return;  -- It is due already.
    end if;
  else
    update tasker.steps s
    set state = 'pending', finished_at = null, refusals = 0,
      max_attempts = s.attempt + ts.max_attempts
    from tasker.template_steps ts
    where s.task_uuid = p_task_uuid and s.step_no = v_step.step_no
      and ts.template_id = s.template_id and ts.step_no = s.step_no;
    insert into tasker.step_transitions
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
    values
      (p_task_uuid, v_now, v_step.step_no, v_step.attempt, 'error', 'pending', p_actor, p_reason);
    update tasker.tasks
    set state = 'in_progress', finished_at = null,
      active_steps = active_steps + 1, failed_steps = failed_steps - 1
    where task_uuid = p_task_uuid;
    if v_task.state = 'error' then
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
      values (p_task_uuid, v_now, 'error', 'in_progress', p_actor, p_reason);
    end if;
  end if;

  perform set_config(
    'tasker.moved_step', tasker.step_uuid(p_task_uuid, v_step.step_no) || ' pending', true
  );
  insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
  values (p_task_uuid, v_step.step_no, v_step.template_id, v_task.priority, v_now, 'retry');
end
$$;

-- Name: settle_step(uuid, text, tasker.step_state, jsonb, text, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.settle_step(p_task_uuid uuid, p_step_name text, p_state tasker.step_state, p_result jsonb, p_actor text, p_reason text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_task tasker.tasks := tasker.lock_task(p_task_uuid);
  v_step tasker.steps := tasker.find_step(v_task, p_step_name);
  v_now timestamptz := tasker.now();
  v_ready int;
  v_active int;
  v_failed int;
  v_end tasker.task_state;
begin
  if v_task.state not in ('pending', 'in_progress', 'error')
    or v_step.state not in ('pending', 'enqueued', 'waiting_for_retry', 'error') then
    raise exception using
      errcode = 'TK409',
      message = format(
        'step %s is %s in a task that is %s and cannot be settled by hand',
        p_step_name, v_step.state, v_task.state
      ),
      hint = case
        when v_task.state in ('complete', 'cancelled', 'resolved_manually') then
          format('a task that is %s does not go on; submit it anew', v_task.state)
        when v_step.state = 'in_progress' then
          'wait until its attempt has ended, or cancel the task'
        else 'it has ended well, and keeps its result' end;
  end if;

  update tasker.steps
  set state = p_state, result = coalesce(p_result, 'null'), error = null, msg_id = null,
    finished_at = v_now
  where task_uuid = p_task_uuid and step_no = v_step.step_no;
  insert into tasker.step_transitions
    (task_uuid, at, step_no, attempt, from_state, to_state, actor, reason)
  values (
    p_task_uuid, v_now, v_step.step_no, v_step.attempt, v_step.state, p_state, p_actor, p_reason
  );
  delete from tasker.timers where task_uuid = p_task_uuid and step_no = v_step.step_no;
  -- Rows that a claim holds at this moment are not waited for: it finds them void.
  delete from tasker.ready_steps where ctid = any(array(
    select ctid from tasker.ready_steps
    where task_uuid = p_task_uuid and step_no = v_step.step_no
    for update skip locked
  ));

  perform set_config(
    'tasker.moved_step', tasker.step_uuid(p_task_uuid, v_step.step_no) || ' ' || p_state, true
  );
  v_ready := cardinality((tasker.free_dependents(
    array[p_task_uuid], array[v_step.step_no], array[v_step.template_id], v_now
  )).ready_tasks);
  v_active := v_task.active_steps + v_ready - case
    when v_step.state in ('enqueued', 'waiting_for_retry') then 1
    when v_step.state = 'pending' and v_step.waiting_on = 0 then 1
    else 0
  end;
  v_failed := v_task.failed_steps - (v_step.state = 'error')::int;
  v_end := case when v_active > 0 then null when v_failed > 0 then 'error' else 'complete' end;

  update tasker.tasks
  set state = coalesce(v_end, 'in_progress'), active_steps = v_active, failed_steps = v_failed,
    started_at = coalesce(started_at, v_now),
    finished_at = case when v_end is not null then v_now end
  where task_uuid = p_task_uuid;
  if v_task.state <> 'in_progress' and v_task.state is distinct from v_end then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
    values (p_task_uuid, v_now, v_task.state, 'in_progress', p_actor, p_reason);
  end if;
  if v_task.state is distinct from v_end and v_end is not null then
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor, reason)
    values (p_task_uuid, v_now, 'in_progress', v_end, p_actor, p_reason);
  end if;

  if v_step.msg_id is not null then
    perform pgmq.delete(n.queue_name, v_step.msg_id)
    from tasker.templates t join tasker.namespaces n on n.namespace = t.namespace
    where t.template_id = v_task.template_id;
  end if;
end
$$;

-- Name: step_may_move(tasker.step_state, tasker.step_state); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.step_may_move(p_from tasker.step_state, p_to tasker.step_state) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
begin
  return case p_from
    when 'pending' then
      p_to in ('enqueued', 'in_progress', 'cancelled', 'skipped', 'resolved_manually')
    when 'enqueued' then p_to in ('in_progress', 'cancelled', 'skipped', 'resolved_manually')
    when 'in_progress' then
      p_to in ('enqueued', 'complete', 'waiting_for_retry', 'error', 'cancelled')
    when 'waiting_for_retry' then p_to in ('enqueued', 'cancelled', 'skipped', 'resolved_manually')
    when 'error' then p_to in ('pending', 'skipped', 'resolved_manually')
    else false
  end;
end
$$;

-- Name: step_uuid(uuid, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.step_uuid(p_task_uuid uuid, p_step_no integer) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
  select overlay(
    p_task_uuid::text placing lpad(to_hex(p_step_no), 4, '0') from 33
  )::uuid
$$;

-- Name: submit_task(text, text, jsonb, text, integer, text); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.submit_task(p_namespace text, p_name text, p_context jsonb DEFAULT '{}'::jsonb, p_version text DEFAULT NULL::text, p_priority integer DEFAULT 0, p_idempotency_key text DEFAULT NULL::text) RETURNS uuid
    LANGUAGE plpgsql
    AS $$
begin
  return (
    select task_uuid
    from tasker.submit_tasks(jsonb_build_array(jsonb_build_object(
      'namespace', p_namespace, 'name', p_name, 'version', p_version, 'context', p_context,
      'priority', p_priority, 'idempotency_key', p_idempotency_key
    )))
  );
end
$$;

-- Name: submit_tasks(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.submit_tasks(p_tasks jsonb) RETURNS TABLE("position" integer, task_uuid uuid, created boolean)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
  v_bad record;
  v_namespaces text[];
  v_names text[];
  v_versions text[];
  v_priorities int[];
  v_contexts jsonb[];
  v_keys text[];
  v_uuids uuid[];
  v_new boolean[];
  v_templates int[];
begin
  if jsonb_typeof(p_tasks) is distinct from 'array' then
    raise exception using errcode = 'TK400', message = 'the tasks are not a JSON array';
  end if;

  select t.position, t.problem into v_bad
  from (
    select ordinality as position, tasker.task_problem(task) as problem
    from jsonb_array_elements(p_tasks) with ordinality as e(task, ordinality)
  ) t
  where t.problem is not null
  order by t.position
  limit 1;
  if found then
    raise exception using
      errcode = 'TK400',
      message = case jsonb_array_length(p_tasks) when 1 then v_bad.problem
        else format('task %s: %s', v_bad.position - 1, v_bad.problem) end;
  end if;

  select
    array_agg(task ->> 'namespace'), array_agg(task ->> 'name'), array_agg(task ->> 'version'),
    array_agg(coalesce((task ->> 'priority')::numeric::int, 0)),
    array_agg(coalesce(nullif(task -> 'context', 'null'), '{}')),
    array_agg(task ->> 'idempotency_key'), array_agg(tasker.new_task_uuid()), array_agg(true)
  into v_namespaces, v_names, v_versions, v_priorities, v_contexts, v_keys, v_uuids, v_new
  from jsonb_array_elements(p_tasks) as task;

  -- Templates are looked up once each, and every context is checked against its schema.
  with wanted as (
    select *
    from unnest(v_namespaces, v_names, v_versions)
      with ordinality as w(namespace, name, version, position)
  ), found_templates as materialized (
    select w.namespace, w.name, w.version,
      tasker.find_template(w.namespace, w.name, w.version) as template_id
    from wanted w
    group by w.namespace, w.name, w.version
  )
  select array_agg(f.template_id order by w.position) into v_templates
  from wanted w
  join found_templates f
    on f.namespace = w.namespace and f.name = w.name and f.version is not distinct from w.version;

  select c.position, tasker.json_schema_error(t.input_schema, c.context) as problem
  into v_bad
  from unnest(v_templates, v_contexts) with ordinality as c(template_id, context, position)
  join tasker.templates t on t.template_id = c.template_id
  where t.input_schema is not null
    and tasker.json_schema_error(t.input_schema, c.context) is not null
  order by c.position
  limit 1;
  if found then
    raise exception using
      errcode = 'TK400',
      message = case jsonb_array_length(p_tasks)
        when 1 then format('the context does not fit the input schema: %s', v_bad.problem)
        else format('task %s: the context does not fit the input schema: %s',
          v_bad.position - 1, v_bad.problem) end;
  end if;

  if array_remove(v_keys, null) <> '{}' then
    -- A key belongs to whoever inserts it first; in key order, so that two batches never deadlock.
    insert into tasker.idempotency_keys as k (namespace, name, idempotency_key, task_uuid)
    select t.namespace, t.name, t.idempotency_key, t.task_uuid
    from unnest(v_namespaces, v_names, v_keys, v_uuids) with ordinality
      as t(namespace, name, idempotency_key, task_uuid, position)
    where t.idempotency_key is not null
    order by t.namespace, t.name, t.idempotency_key, t.position
    on conflict do nothing;

    select
      array_agg(coalesce(k.task_uuid, t.task_uuid) order by t.position),
      array_agg(k.task_uuid is null or k.task_uuid = t.task_uuid order by t.position)
    into v_uuids, v_new
    from unnest(v_namespaces, v_names, v_keys, v_uuids) with ordinality
      as t(namespace, name, idempotency_key, task_uuid, position)
    left join tasker.idempotency_keys k
      on k.namespace = t.namespace and k.name = t.name and k.idempotency_key = t.idempotency_key;
  end if;

  insert into tasker.tasks
    (task_uuid, created_at, template_id, priority, active_steps, context, idempotency_key)
  select n.task_uuid, v_now, n.template_id, n.priority,
    (select count(*) from tasker.template_steps s
      where s.template_id = n.template_id and s.depends_on = '{}'),
    n.context, n.idempotency_key
  from unnest(v_uuids, v_new, v_templates, v_priorities, v_contexts, v_keys)
    as n(task_uuid, is_new, template_id, priority, context, idempotency_key)
  where n.is_new;

  insert into tasker.steps (task_uuid, step_no, template_id, waiting_on, max_attempts)
  select n.task_uuid, s.step_no, s.template_id, cardinality(s.depends_on), s.max_attempts
  from unnest(v_uuids, v_new, v_templates) as n(task_uuid, is_new, template_id)
  join tasker.template_steps s on s.template_id = n.template_id
  where n.is_new;

  insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
  select n.task_uuid, s.step_no, s.template_id, n.priority, v_now, 'task_start'
  from unnest(v_uuids, v_new, v_templates, v_priorities) with ordinality
    as n(task_uuid, is_new, template_id, priority, position)
  cross join lateral (
    select * from tasker.template_steps s
    where s.template_id = n.template_id and s.depends_on = '{}'
    offset 0
  ) s
  where n.is_new
  order by n.position, s.step_no;

  return query
  select u.position::int, u.task_uuid, u.is_new
  from unnest(v_uuids, v_new) with ordinality as u(task_uuid, is_new, position);
end
$$;

-- Name: submit_tasks_silently(jsonb, integer); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.submit_tasks_silently(p_tasks jsonb, p_patience_ms integer DEFAULT NULL::integer) RETURNS TABLE(task_uuid uuid, created boolean)
    LANGUAGE plpgsql
    AS $$
declare
  v_announce text := tasker.be_silent();
  v_lock_timeout text := current_setting('lock_timeout');
begin
  if p_patience_ms is not null then
    perform set_config('lock_timeout', p_patience_ms::text, true);
  end if;
  return query
  select s.task_uuid, s.created from tasker.submit_tasks(p_tasks) s order by s.position;
  perform set_config('lock_timeout', v_lock_timeout, true);
  perform set_config('tasker.announce', v_announce, true);
end
$$;

-- Name: summarize_transitions(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.summarize_transitions() RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  v_index regclass;
begin
  perform set_config('lock_timeout', '100ms', true);
  for v_index in
    select i.indexrelid
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam
    where a.amname = 'brin'
      and i.indrelid in ('tasker.task_transitions'::regclass, 'tasker.step_transitions'::regclass)
  loop
    perform brin_summarize_new_values(v_index);
  end loop;
exception
  when insufficient_privilege or lock_not_available then
    null;
end
$$;

-- Name: task_history(uuid); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.task_history(p_task_uuid uuid) RETURNS TABLE(at timestamp with time zone, step_name text, attempt integer, from_state text, to_state text, actor text, reason text)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
begin
  return query
  select m.at, m.step_name, m.attempt, m.from_state, m.to_state, m.actor, m.reason
  from (
    select t.at, null as step_name, null::int as attempt, t.from_state::text, t.to_state::text,
      t.actor, t.reason, 0 as kind, t.transition_no
    from tasker.task_transitions t
    where t.task_uuid = p_task_uuid
    union all
    select s.at, ts.name, s.attempt, s.from_state::text, s.to_state::text,
      s.actor, coalesce(s.reason, s.error ->> 'message'), 1, s.transition_no
    from tasker.step_transitions s
    join tasker.tasks k on k.task_uuid = s.task_uuid
    join tasker.template_steps ts on ts.template_id = k.template_id and ts.step_no = s.step_no
    where s.task_uuid = p_task_uuid
  ) m
  order by m.at,
    -- At one moment a task starts before its steps and ends after them.
    case when m.kind = 0 and m.to_state <> 'in_progress' then 2 else m.kind end, m.transition_no;
end
$$;

-- Name: task_may_move(tasker.task_state, tasker.task_state); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.task_may_move(p_from tasker.task_state, p_to tasker.task_state) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
begin
  return case p_from
    when 'pending' then p_to in ('in_progress', 'cancelled')
    when 'in_progress' then p_to in ('complete', 'error', 'cancelled')
    when 'error' then p_to in ('in_progress', 'cancelled', 'resolved_manually')
    else false
  end;
end
$$;

-- Name: task_problem(jsonb); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.task_problem(p_task jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
declare
  v_unknown jsonb;
begin
  if jsonb_typeof(p_task) <> 'object' then
    return 'it is not a JSON object';
  end if;
  v_unknown := p_task - '{namespace,name,version,context,priority,idempotency_key}'::text[];
  if v_unknown <> '{}' then
    return format('unknown key %s', (
      select string_agg(quote_ident(key), ', ') from jsonb_object_keys(v_unknown) key
    ));
  end if;
  return case
    when jsonb_typeof(p_task -> 'namespace') is distinct from 'string' then
      'namespace is missing or not a string'
    when jsonb_typeof(p_task -> 'name') is distinct from 'string' then
      'name is missing or not a string'
    when jsonb_typeof(p_task -> 'version') not in ('string', 'null') then 'version is not a string'
    when jsonb_typeof(p_task -> 'context') not in ('object', 'null') then
      'context is not a JSON object'
    when jsonb_typeof(p_task -> 'priority') not in ('number', 'null') then
      'priority is not a number'
    when (p_task ->> 'priority')::numeric not between -32768 and 32767
      or (p_task ->> 'priority')::numeric % 1 <> 0 then
      'priority is not a whole number from -32768 to 32767'
    when jsonb_typeof(p_task -> 'idempotency_key') not in ('string', 'null') then
      'idempotency_key is not a string'
    when char_length(p_task ->> 'idempotency_key') not between 1 and 255 then
      'idempotency_key has not 1 to 255 characters'
  end;
end
$$;

-- Name: timeout_grace_ms(); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.timeout_grace_ms() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 1000 $$;

-- Name: transition_marks(boolean); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.transition_marks(p_mark boolean) RETURNS TABLE(last_task_no bigint, last_step_no bigint, oldest_xid bigint, mark bigint, read_at timestamp with time zone, server_started_at timestamp with time zone)
    LANGUAGE sql
    AS $$
  select coalesce(pg_sequence_last_value('tasker.task_transitions_transition_no_seq'), 0),
    coalesce(pg_sequence_last_value('tasker.step_transitions_transition_no_seq'), 0),
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    case when p_mark then pg_current_xact_id()::text::bigint end,
    clock_timestamp(),
    greatest(pg_postmaster_start_time(), (select max(q.since) from tasker.queues_intact q))
$$;

-- Name: use_unlogged_queues(boolean); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.use_unlogged_queues(p_unlogged boolean) RETURNS integer
    LANGUAGE plpgsql
    AS $$
declare
  v_queue text;
  v_changed int := 0;
begin
  perform tasker.refill_queues();
  update tasker.queue_settings set unlogged = p_unlogged where unlogged <> p_unlogged;
  for v_queue in
    select 'q_' || n.queue_name
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where (c.relpersistence = 'u') <> p_unlogged
    order by 1
  loop
    execute format(
      'alter table pgmq.%I set %s', v_queue, case when p_unlogged then 'unlogged' else 'logged' end
    );
    v_changed := v_changed + 1;
  end loop;
  return v_changed;
end
$$;

-- Name: write_anew(regclass); Type: FUNCTION; Schema: tasker

CREATE FUNCTION tasker.write_anew(p_table regclass) RETURNS boolean
    LANGUAGE plpgsql
    SET lock_timeout TO '50ms'
    AS $_$
declare
  v_announce text := tasker.be_silent();
  v_rows jsonb;
begin
  begin
    execute format('lock table %s in access exclusive mode', p_table);
    execute format('select jsonb_agg(to_jsonb(r)) from %s r', p_table) into v_rows;
    execute format('truncate %s', p_table);
    execute format(
      'insert into %1$s overriding system value
      select * from jsonb_populate_recordset(null::%1$s, $1)', p_table
    ) using v_rows;
    perform set_config('tasker.announce', v_announce, true);
    return true;
  exception when lock_not_available or insufficient_privilege then
    perform set_config('tasker.announce', v_announce, true);
    return false;
  end;
end
$_$;

-- Name: _migrations; Type: TABLE; Schema: tasker

CREATE TABLE tasker._migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);

-- Name: idempotency_keys; Type: TABLE; Schema: tasker

CREATE TABLE tasker.idempotency_keys (
    namespace text NOT NULL,
    name text NOT NULL,
    idempotency_key text NOT NULL,
    task_uuid uuid NOT NULL
);

-- Name: namespaces; Type: TABLE; Schema: tasker

CREATE TABLE tasker.namespaces (
    namespace text NOT NULL,
    queue_name text GENERATED ALWAYS AS ((('worker_'::text || namespace) || '_queue'::text)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT a_namespace_makes_a_valid_queue_name CHECK ((namespace ~ '^[a-z][a-z0-9_]{0,28}$'::text))
);

-- Name: queue_settings; Type: TABLE; Schema: tasker

CREATE TABLE tasker.queue_settings (
    unlogged boolean DEFAULT false NOT NULL,
    only_one boolean DEFAULT true NOT NULL,
    CONSTRAINT there_is_one_row CHECK (only_one)
);

-- Name: queues_intact; Type: TABLE; Schema: tasker

CREATE UNLOGGED TABLE tasker.queues_intact (
    since timestamp with time zone NOT NULL
);

-- Name: ready_steps; Type: TABLE; Schema: tasker

CREATE TABLE tasker.ready_steps (
    ready_no bigint NOT NULL,
    task_uuid uuid NOT NULL,
    ready_at timestamp with time zone NOT NULL,
    step_no integer NOT NULL,
    template_id integer NOT NULL,
    priority integer NOT NULL,
    cause tasker.ready_cause DEFAULT 'step_transition'::tasker.ready_cause NOT NULL
);

-- Name: ready_steps_ready_no_seq; Type: SEQUENCE; Schema: tasker

ALTER TABLE tasker.ready_steps ALTER COLUMN ready_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.ready_steps_ready_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: step_transitions; Type: TABLE; Schema: tasker

CREATE TABLE tasker.step_transitions (
    transition_no bigint NOT NULL,
    task_uuid uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    step_no integer NOT NULL,
    attempt integer NOT NULL,
    from_state tasker.step_state NOT NULL,
    to_state tasker.step_state NOT NULL,
    actor text,
    reason text,
    error jsonb,
    CONSTRAINT a_step_moves_legally CHECK (tasker.step_may_move(from_state, to_state))
);

-- Name: step_transitions_transition_no_seq; Type: SEQUENCE; Schema: tasker

ALTER TABLE tasker.step_transitions ALTER COLUMN transition_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.step_transitions_transition_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: task_transitions; Type: TABLE; Schema: tasker

CREATE TABLE tasker.task_transitions (
    transition_no bigint NOT NULL,
    task_uuid uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    from_state tasker.task_state NOT NULL,
    to_state tasker.task_state NOT NULL,
    actor text,
    reason text,
    CONSTRAINT a_task_moves_legally CHECK (tasker.task_may_move(from_state, to_state))
);

-- Name: task_transitions_transition_no_seq; Type: SEQUENCE; Schema: tasker

ALTER TABLE tasker.task_transitions ALTER COLUMN transition_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.task_transitions_transition_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: templates; Type: TABLE; Schema: tasker

CREATE TABLE tasker.templates (
    template_id integer NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    version_order integer[] GENERATED ALWAYS AS ((string_to_array(version, '.'::text))::integer[]) STORED NOT NULL,
    description text,
    input_schema jsonb,
    body jsonb NOT NULL,
    step_count integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT a_template_has_steps CHECK (((step_count >= 1) AND (step_count <= 65535))),
    CONSTRAINT a_version_is_three_numbers CHECK ((version ~ '^\d{1,6}\.\d{1,6}\.\d{1,6}$'::text))
);

-- Name: tasker_ready_tasks; Type: VIEW; Schema: tasker

CREATE VIEW tasker.tasker_ready_tasks AS
 SELECT r.task_uuid,
    t.namespace,
    r.priority,
    (count(*))::integer AS ready_steps,
    min(r.ready_at) AS ready_since
   FROM (tasker.ready_steps r
     JOIN tasker.templates t ON ((t.template_id = r.template_id)))
  GROUP BY r.task_uuid, t.namespace, r.priority;

-- Name: template_steps; Type: TABLE; Schema: tasker

CREATE TABLE tasker.template_steps (
    template_id integer NOT NULL,
    step_no integer NOT NULL,
    name text NOT NULL,
    handler text NOT NULL,
    input jsonb NOT NULL,
    depends_on integer[] NOT NULL,
    dependents integer[] NOT NULL,
    max_attempts integer NOT NULL,
    backoff text NOT NULL,
    base_ms bigint NOT NULL,
    max_ms bigint NOT NULL,
    jitter boolean NOT NULL,
    timeout_ms integer NOT NULL,
    CONSTRAINT a_backoff_is_known CHECK ((backoff = ANY (ARRAY['fixed'::text, 'linear'::text, 'exponential'::text]))),
    CONSTRAINT a_step_is_attempted_at_least_once CHECK ((max_attempts >= 1)),
    CONSTRAINT a_step_number_fits_in_16_bits CHECK (((step_no >= 1) AND (step_no <= 65535))),
    CONSTRAINT a_timeout_is_positive CHECK ((timeout_ms > 0)),
    CONSTRAINT delays_are_not_negative CHECK (((base_ms >= 0) AND (max_ms >= base_ms)))
);

-- Name: templates_template_id_seq; Type: SEQUENCE; Schema: tasker

ALTER TABLE tasker.templates ALTER COLUMN template_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME tasker.templates_template_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: timers; Type: TABLE; Schema: tasker

CREATE TABLE tasker.timers (
    task_uuid uuid NOT NULL,
    step_no integer NOT NULL,
    due_at timestamp with time zone NOT NULL
);

-- Name: _migrations _migrations_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker._migrations
    ADD CONSTRAINT _migrations_pkey PRIMARY KEY (version);

-- Name: template_steps a_step_name_is_unique_in_its_template; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.template_steps
    ADD CONSTRAINT a_step_name_is_unique_in_its_template UNIQUE (name, template_id);

-- Name: templates a_version_is_applied_once; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.templates
    ADD CONSTRAINT a_version_is_applied_once UNIQUE (namespace, name, version);

-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (namespace, name, idempotency_key);

-- Name: namespaces namespaces_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.namespaces
    ADD CONSTRAINT namespaces_pkey PRIMARY KEY (namespace);

-- Name: queue_settings queue_settings_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.queue_settings
    ADD CONSTRAINT queue_settings_pkey PRIMARY KEY (only_one);

-- Name: steps steps_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (task_uuid, step_no);

-- Name: tasks tasks_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (task_uuid);

-- Name: template_steps template_steps_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.template_steps
    ADD CONSTRAINT template_steps_pkey PRIMARY KEY (template_id, step_no);

-- Name: templates templates_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.templates
    ADD CONSTRAINT templates_pkey PRIMARY KEY (template_id);

-- Name: timers timers_pkey; Type: CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.timers
    ADD CONSTRAINT timers_pkey PRIMARY KEY (task_uuid, step_no);

-- Name: ready_steps_in_order; Type: INDEX; Schema: tasker

CREATE INDEX ready_steps_in_order ON tasker.ready_steps USING btree (priority DESC, ready_no);

-- Name: ready_steps_of_template; Type: INDEX; Schema: tasker

CREATE INDEX ready_steps_of_template ON tasker.ready_steps USING btree (template_id, priority DESC, ready_no);

-- Name: step_transitions_by_range; Type: INDEX; Schema: tasker

CREATE INDEX step_transitions_by_range ON tasker.step_transitions USING brin (task_uuid uuid_minmax_multi_ops, transition_no) WITH (pages_per_range='64', autosummarize='on');

-- Name: task_transitions_by_range; Type: INDEX; Schema: tasker

CREATE INDEX task_transitions_by_range ON tasker.task_transitions USING brin (task_uuid uuid_minmax_multi_ops, transition_no) WITH (pages_per_range='64', autosummarize='on');

-- Name: tasks_not_complete; Type: INDEX; Schema: tasker

CREATE INDEX tasks_not_complete ON tasker.tasks USING btree (listed_as, task_uuid) WHERE (listed_as <> 'complete'::tasker.task_state);

-- Name: tasks_of_template; Type: INDEX; Schema: tasker

CREATE INDEX tasks_of_template ON tasker.tasks USING btree (template_id, task_uuid);

-- Name: template_steps_that_depend_on_none; Type: INDEX; Schema: tasker

CREATE INDEX template_steps_that_depend_on_none ON tasker.template_steps USING btree (template_id, step_no) WHERE (depends_on = '{}'::integer[]);

-- Name: timers_by_time; Type: INDEX; Schema: tasker

CREATE INDEX timers_by_time ON tasker.timers USING btree (due_at);

-- Name: namespaces notify_namespace_created; Type: TRIGGER; Schema: tasker

CREATE TRIGGER notify_namespace_created AFTER INSERT ON tasker.namespaces REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_namespace_created();

-- Name: ready_steps notify_task_ready_on_step_transition; Type: TRIGGER; Schema: tasker

CREATE TRIGGER notify_task_ready_on_step_transition AFTER INSERT ON tasker.ready_steps REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_task_ready_on_step_transition();

-- Name: task_transitions notify_task_state_change; Type: TRIGGER; Schema: tasker

CREATE TRIGGER notify_task_state_change AFTER INSERT ON tasker.task_transitions REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tasker.notify_task_state_change();

-- Name: template_steps template_steps_template_id_fkey; Type: FK CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.template_steps
    ADD CONSTRAINT template_steps_template_id_fkey FOREIGN KEY (template_id) REFERENCES tasker.templates(template_id);

-- Name: templates templates_namespace_fkey; Type: FK CONSTRAINT; Schema: tasker

ALTER TABLE ONLY tasker.templates
    ADD CONSTRAINT templates_namespace_fkey FOREIGN KEY (namespace) REFERENCES tasker.namespaces(namespace);

