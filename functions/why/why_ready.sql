-- Why a step that is ready, or whose retry is due, is not enqueued. p_ready is its row of ready_steps.
create or replace function tasker.why_ready(
  p_task tasker.tasks, p_step tasker.steps, p_namespace text, p_queue_name text, p_ready jsonb,
  out cause text, out detail text, out action text, out evidence jsonb
)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
as $$
declare
  c_most_ahead constant int := 1000;
  v_ready_no bigint := p_ready ->> 'ready_no';
  v_due_at timestamptz;
  v_holder jsonb;
  v_ahead int;
begin
  if v_ready_no is null then
    select w.due_at into v_due_at
    from tasker.timers w
    where w.task_uuid = p_step.task_uuid and w.step_no = p_step.step_no;
    if v_due_at is null then
      cause := 'not_offered';
      detail := 'it is ready, but nothing offers it to an orchestrator';
      action := 'this breaks an invariant, please report it: tasker doctor';
      evidence := '{}';
      return;
    end if;
  end if;

  select w.cause, w.detail, w.action, w.evidence into cause, detail, action, evidence
  from tasker.why_nobody_claims(p_namespace) w;
  if cause is not null then
    return;
  end if;
  v_holder := tasker.lock_holder(array[
    (p_ready ->> 'xmax')::xid, (select t.xmax from tasker.tasks t where t.task_uuid = p_task.task_uuid),
    (
      select s.xmax from tasker.steps s
      where s.task_uuid = p_step.task_uuid and s.step_no = p_step.step_no
    )
  ], '{}');
  if v_holder is not null then
    cause := 'locked';
    detail := v_holder ->> 'words';
    action := v_holder ->> 'action';
    evidence := v_holder - '{words,action}'::text[];
    return;
  end if;
  select w.cause, w.detail, w.action, w.evidence into cause, detail, action, evidence
  from tasker.why_queue_fails(p_namespace, p_queue_name) w;
  if cause is not null then
    return;
  end if;

  cause := 'waits_to_be_claimed';
  action := 'none: an orchestrator claims it';
  if v_ready_no is null then
    detail := format('its retry has been due for %s', tasker.in_words(tasker.now() - v_due_at));
    evidence := jsonb_build_object('due_at', v_due_at, 'attempt', p_step.attempt);
    return;
  end if;
  select count(*) into v_ahead
  from (
    select from tasker.ready_steps r
    where r.priority > p_task.priority
      or r.priority = p_task.priority and r.ready_no < v_ready_no
    limit c_most_ahead
  ) a;
  detail := format('it has been ready for %s; %s%s steps are ahead of it',
    tasker.in_words(tasker.now() - (p_ready ->> 'ready_at')::timestamptz), v_ahead,
    case when v_ahead = c_most_ahead then ' or more' else '' end);
  evidence := jsonb_build_object(
    'ready_since', p_ready -> 'ready_at', 'ahead', v_ahead, 'priority', p_task.priority
  );
end
$$;
