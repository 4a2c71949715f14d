-- Why a step that is ready, or whose retry is due, is not enqueued: because of what is in the way of all
-- of its namespace, p_in_the_way, or of itself. p_ready is its row of ready_steps.
create or replace function tasker.why_ready(
  p_task tasker.tasks, p_step tasker.steps, p_ready jsonb, p_in_the_way jsonb
)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_bitmapscan to off
as $$
declare
  c_most_ahead constant int := 100;
  v_due_at timestamptz;
  v_why jsonb;
  v_ahead int;
begin
  if p_ready is null then
    select w.due_at into v_due_at
    from tasker.timers w
    where w.task_uuid = p_step.task_uuid and w.step_no = p_step.step_no;
    if v_due_at is null then
      return jsonb_build_object(
        'cause', 'not_offered',
        'detail', 'it is ready, but nothing offers it to an orchestrator',
        'action', 'this breaks an invariant, please report what is said by: tasker doctor',
        'evidence', '{}'::jsonb
      );
    end if;
  end if;
  v_why := coalesce(p_in_the_way, tasker.why_locked(array[
    (p_ready ->> 'xmax')::xid,
    (select t.xmax from tasker.tasks t where t.task_uuid = p_task.task_uuid),
    (
      select s.xmax from tasker.steps s
      where s.task_uuid = p_step.task_uuid and s.step_no = p_step.step_no
    )
  ], '{}'));
  if v_why is not null then
    return v_why;
  end if;

  if p_ready is null then
    return jsonb_build_object(
      'cause', 'waits_to_be_claimed',
      'detail', format('its retry has been due for %s', tasker.in_words(tasker.now() - v_due_at)),
      'evidence', jsonb_build_object('due_at', v_due_at, 'attempt', p_step.attempt)
    );
  end if;
  select count(*) into v_ahead
  from (
    -- Two ranges of an index: with one condition for both, all that is behind it would be read too.
    (
      select from tasker.ready_steps r where r.priority > p_task.priority limit c_most_ahead
    )
    union all
    (
      select from tasker.ready_steps r
      where r.priority = p_task.priority and r.ready_no < (p_ready ->> 'ready_no')::bigint
      limit c_most_ahead
    )
    limit c_most_ahead
  ) a;
  return jsonb_build_object(
    'cause', 'waits_to_be_claimed',
    'detail', format('it has been ready for %s; %s steps are ahead of it',
      tasker.in_words(tasker.now() - (p_ready ->> 'ready_at')::timestamptz),
      case when v_ahead = c_most_ahead then format('%s or more', v_ahead) else v_ahead::text end),
    'evidence', jsonb_build_object(
      'ready_at', p_ready -> 'ready_at', 'ahead', v_ahead, 'priority', p_task.priority
    )
  );
end
$$;
