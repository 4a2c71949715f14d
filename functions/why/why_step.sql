-- What a step waits for that waits for no other step. p_ready is its row of ready_steps, if it has one.
create or replace function tasker.why_step(
  p_task tasker.tasks, p_step tasker.steps, p_ready jsonb, p_queue_is_readable boolean,
  out cause text, out detail text, out action text, out evidence jsonb
)
language plpgsql
stable
as $$
declare
  v_namespace text;
  v_queue_name text;
  v_template_step tasker.template_steps;
  v_due_at timestamptz;
  v_error text := coalesce(
    format(': %s', left(nullif(p_step.error ->> 'message', ''), 200)), ''
  );
begin
  select n.namespace, n.queue_name into v_namespace, v_queue_name
  from tasker.templates t
  join tasker.namespaces n on n.namespace = t.namespace
  where t.template_id = p_step.template_id;
  select ts.* into v_template_step
  from tasker.template_steps ts
  where ts.template_id = p_step.template_id and ts.step_no = p_step.step_no;
  select w.due_at into v_due_at
  from tasker.timers w
  where w.task_uuid = p_step.task_uuid and w.step_no = p_step.step_no
    and p_step.state = 'waiting_for_retry' and w.due_at > tasker.now();

  if p_step.state = 'error' then
    cause := case when p_step.attempt < p_step.max_attempts then 'failed'
      else 'attempts_exhausted' end;
    detail := format('attempt %s of %s failed%s%s', p_step.attempt, p_step.max_attempts,
      case when cause = 'failed' then ' for good' else ', the last one' end, v_error);
    action := format(
      'mend what failed, then: tasker step retry %1$s %2$s; or go on without it: tasker step skip '
      '%1$s %2$s', p_step.task_uuid, v_template_step.name
    );
    evidence := jsonb_build_object(
      'attempt', p_step.attempt, 'max_attempts', p_step.max_attempts, 'error', p_step.error,
      'worker', p_step.worker, 'finished_at', p_step.finished_at
    );
  elsif v_due_at is not null then
    cause := 'waits_for_retry';
    detail := format('attempt %s of %s is due in %s; the last one failed%s', p_step.attempt + 1,
      p_step.max_attempts, tasker.in_words(v_due_at - tasker.now()), v_error);
    action := format('none: it is tried again; at once with: tasker step retry %s %s',
      p_step.task_uuid, v_template_step.name);
    evidence := jsonb_build_object(
      'due_at', v_due_at, 'attempt', p_step.attempt, 'max_attempts', p_step.max_attempts,
      'error', p_step.error
    );
  elsif p_step.state = 'in_progress' then
    select w.* into cause, detail, action, evidence
    from tasker.why_running(
      p_task, p_step, v_namespace, v_queue_name, v_template_step, p_queue_is_readable
    ) w;
  elsif p_step.state <> 'enqueued' then
    select w.* into cause, detail, action, evidence
    from tasker.why_ready(p_task, p_step, v_namespace, v_queue_name, p_ready) w;
  elsif p_queue_is_readable then
    select w.* into cause, detail, action, evidence
    from tasker.why_enqueued(p_step, v_namespace, v_queue_name, v_template_step.handler) w;
  else
    select w.* into cause, detail, action, evidence
    from tasker.why_queue_fails(v_namespace, v_queue_name) w;
    cause := coalesce(cause, 'locked');
    detail := coalesce(detail, format('the queue %s was locked at this moment', v_queue_name));
    action := coalesce(action, 'none: ask again in a moment');
    evidence := coalesce(evidence, jsonb_build_object('queue_name', v_queue_name));
  end if;
end
$$;
