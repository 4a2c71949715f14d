-- Announces what committed calls brought about: tasks that got ready steps (once for each such
-- step), tasks that ended, queues with messages in them, whether a retry was scheduled, tasks that
-- were submitted, and those of them that are new.
-- p_step_uuids has, for each of the ready tasks, the step whose completion readied the step.
-- Each readiness goes to the global channel and to its namespace's, in one transaction: what a
-- second payload adds to that cannot be measured, and listeners hear one of the two.
create or replace function tasker.announce(
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
