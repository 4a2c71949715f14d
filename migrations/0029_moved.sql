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

-- What the announcement of one task with ready steps says. Far from the 8,000 bytes of a payload,
-- because a namespace has at most 29 characters.
create function tasker.readiness_payload(
  p_task_uuid uuid, p_namespace text, p_priority int, p_ready_steps bigint,
  p_triggered_by text, p_step_uuid uuid, p_step_state text, p_task_state text
)
returns text
language sql
stable parallel safe
as $$
  select json_strip_nulls(json_build_object(
    'task_count', 1,
    'task_uuid', p_task_uuid,
    'namespace', p_namespace,
    'priority', p_priority,
    'ready_steps', p_ready_steps,
    'triggered_by', p_triggered_by,
    'step_uuid', p_step_uuid,
    'step_state', case when p_step_uuid is not null then p_step_state end,
    'task_state', p_task_state
  ))::text
$$;

-- Announces submitted tasks, on the global channel and their namespaces'. Only those that nobody has
-- touched yet: all their active steps are ready, and a task that was submitted again by its
-- idempotency key is announced again for as long as it may have been overlooked.
create function tasker.announce_submitted_tasks(p_task_uuids uuid[])
returns void
language plpgsql
as $$
begin
  perform tasker.announce_ready_tasks(
    array_agg(t.task_uuid), array_agg(t.active_steps::bigint), null, null, 'task_start'
  )
  from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) s
  join tasker.tasks t on t.task_uuid = s.task_uuid
  where t.state = 'pending'
  having count(*) > 0;
end
$$;

-- Announces what committed calls brought about: tasks that got ready steps (once for each such
-- step), tasks that ended, queues with messages in them, whether a retry was scheduled, tasks that
-- were submitted, and those of them that are new.
-- p_step_uuids has, for each of the ready tasks, the step whose completion readied the step.
-- Each readiness goes to the global channel and to its namespace's, in one transaction: what a
-- second payload adds to that cannot be measured, and listeners hear one of the two.
create function tasker.announce(
  p_ready_tasks uuid[], p_ended_tasks uuid[], p_queues text[], p_timer_set boolean,
  p_step_uuids uuid[] default '{}', p_submitted_tasks uuid[] default '{}',
  p_new_tasks uuid[] default '{}'
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
        t.task_uuid, tp.namespace, t.priority, v_steps, 'step_transition', p_step_uuids[1],
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
    perform tasker.announce_ready_tasks(
      array_agg(r.task_uuid), array_agg(r.ready_steps), array_agg(r.step_uuid), 'complete',
      'step_transition'
    )
    from (
      select u.task_uuid, count(*) as ready_steps, min(u.step_uuid::text)::uuid as step_uuid
      from unnest(p_ready_tasks, p_step_uuids) as u(task_uuid, step_uuid)
      where u.task_uuid is not null
      group by u.task_uuid
    ) r;
  end if;
  if p_submitted_tasks <> '{}' then
    perform tasker.announce_submitted_tasks(p_submitted_tasks);
  end if;
  if p_new_tasks <> '{}' then
    perform tasker.announce_task_states(p_new_tasks, 'pending');
  end if;
  if p_ended_tasks <> '{}' then
    perform tasker.announce_task_states(p_ended_tasks);
  end if;
  perform pg_notify('pgmq.q_' || q.name || '.INSERT', '') from unnest(p_queues) as q(name);
  if p_timer_set then
    perform pg_notify(tasker.channel('timer_set'), '{}');
  end if;
end
$$;
