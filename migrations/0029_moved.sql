-- What a batch of moved steps brought about: which positions of the input (from 1) were stale, which
-- were left out because another transaction holds the task or the step, and what the caller has to
-- announce once it has committed.
create type tasker.moved as (
  stale int[],
  locked int[],
  ready_tasks uuid[],
  finished_tasks uuid[],
  cancelled_tasks uuid[],
  woken_queues text[],
  timer_set boolean
);

-- The PostgreSQL channel of an event: the global one, or the one of a namespace. Installations that
-- want other names set tasker.channel_prefix for the database, and database.channel_prefix in the
-- configuration.
create function tasker.channel(p_event text, p_namespace text default null)
returns text
language sql
stable parallel safe
as $$
  select coalesce(nullif(current_setting('tasker.channel_prefix', true), ''), 'tasker')
    || '_' || p_event || coalesce('.' || p_namespace, '')
$$;

-- Keeps the triggers from announcing until tasker.announce is set back to what this answers. A
-- clause of the functions would do the same, but only a superuser may write one for a setting of
-- ours.
create function tasker.be_silent()
returns text
language plpgsql
as $$
declare
  v_before text := coalesce(current_setting('tasker.announce', true), '');
begin
  perform set_config('tasker.announce', 'off', true);
  return v_before;
end
$$;

-- What the announcement of ready tasks says: of one task all there is, of several only what they
-- have in common and how many they are. Its length depends on no name or number but the
-- namespace's, which has at most 29 characters, so it is far from the 8,000 bytes of a payload.
create function tasker.readiness_payload(
  p_tasks bigint, p_task_uuid uuid, p_namespace text, p_priority int, p_ready_steps bigint,
  p_triggered_by text, p_step_uuid uuid, p_step_state text, p_task_state text
)
returns text
language sql
stable parallel safe
as $$
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

-- Announces ended tasks, up to 100 in a payload, on the global channel and their namespaces'.
create function tasker.announce_ended_tasks(p_task_uuids uuid[])
returns void
language plpgsql
as $$
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

-- Announces submitted tasks, on the global channel and their namespaces'. Only those that nobody has
-- touched yet: all their active steps are ready, and a task that was submitted again by its
-- idempotency key is announced again for as long as it may have been overlooked.
create function tasker.announce_submitted_tasks(p_task_uuids uuid[])
returns void
language plpgsql
as $$
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

-- Announces what committed calls brought about: tasks that got ready steps (once for each such
-- step), tasks that ended, queues with messages in them, whether a retry was scheduled, and tasks
-- that were submitted.
-- p_step_uuid is the step whose completion made a task ready, where one task is announced.
-- Each readiness goes to the global channel and to its namespace's, in one transaction: what a
-- second payload adds to that cannot be measured, and listeners hear one of the two.
create function tasker.announce(
  p_ready_tasks uuid[], p_ended_tasks uuid[], p_queues text[], p_timer_set boolean,
  p_step_uuid uuid default null, p_submitted_tasks uuid[] default '{}'
)
returns void
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
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
