-- A filter as an act uses it: with the state that its action is for where it names none. Raises TK400
-- for one that has a key nobody knows, a value of the wrong sort, a state that the action is not for, or
-- conditions that tasker.search_conditions() refuses. Tasks that are named one by one may be in any state:
-- those that cannot take the action refuse it.
create or replace function tasker.bulk_filter(p_action text, p_filter jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
  c_keys constant text[] := '{namespace,name,version,state,since,until,key,step,error,where,tasks}';
  v_states text[] := case p_action
    when 'retry' then '{error,in_progress}'
    when 'resolve' then '{error}'
    when 'cancel' then '{pending,in_progress,error}'
  end;
  v_key text;
  v_filter jsonb := p_filter;
begin
  if v_states is null then
    raise exception using
      errcode = 'TK400', message = format('%L is none of retry, cancel, resolve', p_action);
  end if;
  if jsonb_typeof(p_filter) is distinct from 'object' then
    raise exception using errcode = 'TK400', message = 'the filter is no object';
  end if;
  v_filter := jsonb_strip_nulls(v_filter);
  for v_key in select jsonb_object_keys(v_filter) loop
    if v_key <> all(c_keys) then
      raise exception using
        errcode = 'TK400', message = format('the filter has no key %L', v_key),
        hint = format('its keys are %s', array_to_string(c_keys, ', '));
    end if;
    if v_key not in ('where', 'tasks') and jsonb_typeof(v_filter -> v_key) <> 'string' then
      raise exception using
        errcode = 'TK400', message = format('filter.%s is no text', v_key);
    end if;
  end loop;
  if v_filter ? 'where' then
    perform tasker.search_conditions(v_filter);
  end if;
  if v_filter ? 'tasks' then
    perform tasker.selected_tasks(v_filter -> 'tasks');
    if not v_filter ? 'state' then
      return v_filter;
    end if;
  end if;
  -- A step that failed, or an error, is one of tasks in error where nothing else is said.
  if p_action <> 'cancel' or v_filter ?| '{step,error}' then
    v_filter := '{"state": "error"}'::jsonb || v_filter;
  end if;
  if not coalesce(v_filter ->> 'state' = any(v_states), false) then
    raise exception using
      errcode = 'TK400',
      message = case when v_filter ? 'state'
        then format('no task that is %s can take this: %s', v_filter ->> 'state', p_action)
        else format('say which state the tasks are in: %s', p_action) end,
      hint = format('its filter takes the state %s', array_to_string(v_states, ' or '));
  end if;
  return v_filter;
end
$$;
