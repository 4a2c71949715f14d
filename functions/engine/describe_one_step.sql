-- What tasker.describe_steps() says of one step that has just been started.
create or replace function tasker.describe_one_step(
  p_task_uuid uuid, p_step_no int, p_msg_id bigint
)
returns tasker.received_step
language plpgsql
stable
as $$
declare
  v_step tasker.received_step;
  v_template_id int;
  v_depends_on int[];
begin
  select s.task_uuid, s.step_no, s.msg_id, tp.namespace,
    tp.namespace || '/' || tp.name || '@' || tp.version, ts.name, ts.handler, s.attempt, s.receipt,
    s.max_attempts, ts.timeout_ms, t.priority, t.context, ts.input,
    case ts.dependency_results when 'inline' then '{}'::jsonb end, null,
    s.input_bytes, null, ts.template_id,
    case ts.dependency_results when 'inline' then ts.depends_on end
  into v_step.task_uuid, v_step.step_no, v_step.msg_id, v_step.namespace, v_step.template,
    v_step.step_name, v_step.handler, v_step.attempt, v_step.receipt, v_step.max_attempts,
    v_step.timeout_ms, v_step.priority, v_step.context, v_step.input, v_step.dependency_results,
    v_step.expired, v_step.input_bytes, v_step.problem, v_template_id, v_depends_on
  from tasker.steps s
  join tasker.tasks t on t.task_uuid = s.task_uuid
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  join tasker.templates tp on tp.template_id = s.template_id
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no;

  if v_depends_on <> '{}' then
    select jsonb_object_agg(ps.name, coalesce(p.result, 'null')) into v_step.dependency_results
    from unnest(v_depends_on) as d(step_no)
    join tasker.template_steps ps on ps.template_id = v_template_id and ps.step_no = d.step_no
    -- By their keys, as in tasker.describe_steps().
    cross join lateral (
      select s.result from tasker.steps s
      where s.task_uuid = p_task_uuid and s.step_no = d.step_no
      offset 0
    ) p;
  end if;
  return v_step;
end
$$;
