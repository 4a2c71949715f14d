-- tasker.why() in one snapshot.
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
  v_asked int;
  v_roots int[];
  v_ready jsonb;
  v_root int;
  v_step record;
  v_why record;
begin
  select t.* into v_task from tasker.tasks t where t.task_uuid = p_task_uuid;
  if v_task.task_uuid is null then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  if p_step_name is not null then
    v_asked := tasker.step_no(p_task_uuid, p_step_name);
  end if;
  -- What is left open in a task that somebody resolved or cancelled waits for nothing.
  if v_task.state in ('complete', 'resolved_manually') then
    return;
  end if;
  v_roots := tasker.why_roots(v_task.task_uuid);
  select coalesce(jsonb_object_agg(
    r.step_no,
    jsonb_build_object('ready_no', r.ready_no, 'ready_at', r.ready_at, 'xmax', r.xmax::text)
  ), '{}') into v_ready
  from tasker.ready_steps r
  where r.template_id = v_task.template_id and r.priority = v_task.priority
    and r.task_uuid = v_task.task_uuid;

  for v_step in
    select s as row, s.step_no, s.state, ts.name, ts.depends_on, s.waiting_on,
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
    if not v_step.waits_for_steps then
      v_why := tasker.why_step(
        v_task, v_step.row, v_ready -> v_step.step_no::text, p_queue_is_readable
      );
      return query
      select v_step.name, v_step.state, v_why.cause, v_why.detail, v_why.action, v_step.name,
        v_why.evidence;
      continue;
    end if;
    v_root := v_roots[v_step.step_no];
    return query
    select v_step.name, v_step.state, 'waits_for_steps',
      format('%s of the %s steps it depends on %s not done: %s; what it waits for is %s, which is %s',
        v_step.waiting_on, cardinality(v_step.depends_on),
        case when v_step.waiting_on = 1 then 'is' else 'are' end, p.names,
        rts.name, r.state),
      format('see %s', rts.name), rts.name,
      jsonb_build_object('not_done', v_step.waiting_on, 'parents', p.parents, 'root_state', r.state)
    from tasker.steps r
    join tasker.template_steps rts on rts.template_id = r.template_id and rts.step_no = r.step_no
    cross join lateral (
      select coalesce(jsonb_agg(jsonb_build_object('step', f.name, 'state', f.state)), '[]')
          as parents,
        string_agg(f.name, ', ') || case when v_step.waiting_on > 10 then ', …' else '' end as names
      from (
        select pts.name, ps.state
        from unnest(v_step.depends_on) with ordinality as d(step_no, position)
        join tasker.steps ps on ps.task_uuid = v_task.task_uuid and ps.step_no = d.step_no
        join tasker.template_steps pts
          on pts.template_id = v_task.template_id and pts.step_no = d.step_no
        where ps.state not in ('complete', 'skipped', 'resolved_manually')
        order by d.position
        limit 10
      ) f
    ) p
    where r.task_uuid = v_task.task_uuid and r.step_no = v_root;
  end loop;
end
$$;
