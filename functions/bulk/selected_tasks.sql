-- The tasks that a filter names one by one. Raises TK400 for anything but a list of 1 to 500 UUIDs.
create or replace function tasker.selected_tasks(p_tasks jsonb)
returns uuid[]
language plpgsql
immutable
as $$
declare
  c_most constant int := 500;
begin
  if jsonb_typeof(p_tasks) = 'array' and jsonb_array_length(p_tasks) between 1 and c_most then
    return array(select w.task_uuid::uuid from jsonb_array_elements_text(p_tasks) as w(task_uuid));
  end if;
  raise exception using
    errcode = 'TK400', message = format('filter.tasks is no list of 1 to %s UUIDs', c_most);
exception
  when invalid_text_representation then
    raise exception using errcode = 'TK400', message = format('filter.tasks: %s', sqlerrm);
end
$$;
