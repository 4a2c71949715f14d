-- The number of a step of a task. Raises TK404 for an unknown task or step.
create or replace function tasker.step_no(p_task_uuid uuid, p_step_name text)
returns int
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
as $$
declare
  v_template_id int;
  v_step_no int;
begin
  select template_id into v_template_id from tasker.tasks where task_uuid = p_task_uuid;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('there is no task %s', p_task_uuid);
  end if;
  select step_no into v_step_no
  from tasker.template_steps
  where name = p_step_name and template_id = v_template_id;
  if not found then
    raise exception using
      errcode = 'TK404',
      message = format('task %s has no step named %s', p_task_uuid, quote_ident(p_step_name)),
      hint = format('its steps are %s', (
        select string_agg(name, ', ' order by step_no) from (
          select name, step_no from tasker.template_steps
          where template_id = v_template_id order by step_no limit 50
        ) few
      ));
  end if;
  return v_step_no;
end
$$;
