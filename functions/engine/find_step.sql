-- A step of a task by its name. Raises TK404 when there is none.
create or replace function tasker.find_step(p_task tasker.tasks, p_step_name text)
returns tasker.steps
language plpgsql
as $$
declare
  v_step tasker.steps;
begin
  select s.* into v_step
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = p_task.template_id and ts.step_no = s.step_no
  where s.task_uuid = p_task.task_uuid and ts.name = p_step_name
  for no key update of s;
  if not found then
    raise exception using
      errcode = 'TK404',
      message = format('task %s has no step named %s', p_task.task_uuid, quote_ident(p_step_name)),
      hint = format('its steps are %s', (
        select string_agg(name, ', ' order by step_no) from (
          select name, step_no from tasker.template_steps
          where template_id = p_task.template_id order by step_no limit 50
        ) few
      ));
  end if;
  return v_step;
end
$$;
