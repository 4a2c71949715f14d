-- tasker.why() in one snapshot. p_queue_is_readable says whether the queue of the task is not locked.
create or replace function tasker.why_now(
  p_task_uuid uuid, p_step_name text, p_limit int, p_queue_is_readable boolean
)
returns table (
  step_name text, state tasker.step_state, cause text, detail text, action text, root text,
  evidence jsonb
)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_task tasker.tasks;
  v_queue record;
  v_asked int;
  v_roots int[];
  v_ready jsonb;
  -- What is in the way of all that is to be claimed, and of all that is to be received, by handler.
  v_queue_fails jsonb;
  v_nobody_claims jsonb;
  v_nobody_receives jsonb := '{}';
  v_step record;
  v_in_the_way jsonb;
  v_why jsonb;
begin
  select t.* into v_task from tasker.tasks t where t.task_uuid = p_task_uuid;
  if v_task.task_uuid is null then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  if p_step_name is not null then
    v_asked := tasker.step_no(p_task_uuid, p_step_name);
  end if;
  -- What an operator left open waits for nothing.
  if v_task.state in ('complete', 'resolved_manually') then
    return;
  end if;
  v_roots := tasker.why_roots(v_task.task_uuid);
  select n.namespace, n.queue_name,
    case when p_queue_is_readable and to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
      is not null then n.queue_name end as readable
  into v_queue
  from tasker.templates t
  join tasker.namespaces n on n.namespace = t.namespace
  where t.template_id = v_task.template_id;
  select coalesce(jsonb_object_agg(
    r.step_no,
    jsonb_build_object('ready_no', r.ready_no, 'ready_at', r.ready_at, 'xmax', r.xmax::text)
  ), '{}') into v_ready
  from tasker.ready_steps r
  where r.template_id = v_task.template_id and r.priority = v_task.priority
    and r.task_uuid = v_task.task_uuid;
  v_queue_fails := tasker.why_queue_fails(v_queue.namespace, v_queue.queue_name);
  if v_queue_fails is null and not p_queue_is_readable then
    v_queue_fails := jsonb_build_object(
      'cause', 'locked', 'detail', format('the queue %s was locked at this moment',
        v_queue.queue_name),
      'evidence', jsonb_build_object('queue_name', v_queue.queue_name)
    );
  end if;
  v_nobody_claims := tasker.why_nobody_claims(v_queue.namespace);

  for v_step in
    select s as row, s.step_no, s.state, ts.name, ts.handler, ts.timeout_ms,
      s.state = 'pending' and s.waiting_on > 0 as waits_for_steps
    from tasker.steps s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    where s.task_uuid = v_task.task_uuid
      and s.state in ('pending', 'enqueued', 'in_progress', 'waiting_for_retry', 'error')
      and (v_task.state <> 'cancelled' or s.state = 'in_progress')
      and (p_step_name is null or s.step_no in (v_asked, v_roots[v_asked]))
    order by waits_for_steps, s.step_no
    limit p_limit
  loop
    if v_step.state in ('enqueued', 'in_progress') and not v_nobody_receives ? v_step.handler then
      v_nobody_receives := v_nobody_receives || jsonb_build_object(
        v_step.handler, tasker.why_nobody_receives(v_queue.namespace, v_step.handler)
      );
    end if;
    v_in_the_way := coalesce(
      v_queue_fails, nullif(v_nobody_receives -> v_step.handler, 'null')
    );
    v_why := case
      when v_step.waits_for_steps then
        tasker.why_dependent(v_step.row, v_roots[v_step.step_no])
      when v_step.state = 'enqueued' then
        tasker.why_enqueued(v_step.row, v_queue.queue_name, v_in_the_way)
      when v_step.state = 'in_progress' then
        tasker.why_running(
          v_task, v_step.row, v_step.timeout_ms, v_queue.readable, v_in_the_way
        )
      else coalesce(
        tasker.why_stopped(v_step.row, v_step.name),
        tasker.why_ready(
          v_task, v_step.row, v_ready -> v_step.step_no::text,
          coalesce(v_nobody_claims, v_queue_fails)
        )
      )
    end;
    step_name := v_step.name;
    state := v_step.state;
    cause := v_why ->> 'cause';
    detail := v_why ->> 'detail';
    action := v_why ->> 'action';
    root := v_step.name;
    if v_step.waits_for_steps then
      select ts.name into root
      from tasker.template_steps ts
      where ts.template_id = v_task.template_id and ts.step_no = v_roots[v_step.step_no];
    end if;
    evidence := v_why -> 'evidence';
    return next;
  end loop;
end
$$;
