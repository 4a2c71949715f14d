-- The result of a step that the given one depends on, by its name; JSON null where it has none. For
-- handlers that ask for each result because they are given none.
-- Raises TK404 for an unknown step and for a name that it does not depend on, TK409 where the step of
-- that name has not ended well.
create or replace function tasker.dependency_result(
  p_task_uuid uuid, p_step_no int, p_dependency text
)
returns jsonb
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  -- Names that a hint lists.
  c_most_names constant int := 50;
  v_step record;
  v_dependency_no int;
  v_found record;
begin
  select ts.template_id, ts.name, ts.depends_on into v_step
  from tasker.steps s
  join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no;
  if not found then
    raise exception using
      errcode = 'TK404', message = format('task %s has no step %s', p_task_uuid, p_step_no);
  end if;

  select p.step_no into v_dependency_no
  from tasker.template_steps p
  where p.name = p_dependency and p.template_id = v_step.template_id;
  if v_dependency_no is null or v_dependency_no <> all(v_step.depends_on) then
    raise exception using
      errcode = 'TK404',
      message = format(
        'step %s does not depend on a step named %s', v_step.name,
        coalesce(quote_ident(p_dependency), 'null')
      ),
      hint = case
        when v_step.depends_on = '{}' then 'it depends on none; list it in depends_on'
        else (
          select format(
            'it depends on %s%s', string_agg(p.name, ', ' order by d.position),
            case when cardinality(v_step.depends_on) > c_most_names
              then format(' and %s more', cardinality(v_step.depends_on) - c_most_names) end
          )
          from unnest(v_step.depends_on[:c_most_names]) with ordinality as d(step_no, position)
          join tasker.template_steps p
            on p.template_id = v_step.template_id and p.step_no = d.step_no
        ) end;
  end if;

  select s.state, s.result into v_found
  from tasker.steps s
  where s.task_uuid = p_task_uuid and s.step_no = v_dependency_no;
  if v_found.state not in ('complete', 'skipped', 'resolved_manually') then
    raise exception using
      errcode = 'TK409',
      message = format('step %s is %s and has no result', p_dependency, v_found.state);
  end if;
  return coalesce(v_found.result, 'null');
end
$$;
