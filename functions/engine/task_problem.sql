-- What is wrong with one element of the array, or null; templates and schemas aside. In plpgsql
-- because that keeps its plans for the session.
create or replace function tasker.task_problem(p_task jsonb)
returns text
language plpgsql
immutable parallel safe
as $$
declare
  v_unknown jsonb;
begin
  if jsonb_typeof(p_task) <> 'object' then
    return 'it is not a JSON object';
  end if;
  v_unknown := p_task - '{namespace,name,version,context,priority,idempotency_key,on_conflict}'::text[];
  if v_unknown <> '{}' then
    return format('unknown key %s', (
      select string_agg(quote_ident(key), ', ') from jsonb_object_keys(v_unknown) key
    ));
  end if;
  return case
    when jsonb_typeof(p_task -> 'namespace') is distinct from 'string' then
      'namespace is missing or not a string'
    when jsonb_typeof(p_task -> 'name') is distinct from 'string' then
      'name is missing or not a string'
    when jsonb_typeof(p_task -> 'version') not in ('string', 'null') then 'version is not a string'
    when jsonb_typeof(p_task -> 'context') not in ('object', 'null') then
      'context is not a JSON object'
    when jsonb_typeof(p_task -> 'priority') not in ('number', 'null') then
      'priority is not a number'
    when (p_task ->> 'priority')::numeric not between -32768 and 32767
      or (p_task ->> 'priority')::numeric % 1 <> 0 then
      'priority is not a whole number from -32768 to 32767'
    when jsonb_typeof(p_task -> 'idempotency_key') not in ('string', 'null') then
      'idempotency_key is not a string'
    when char_length(p_task ->> 'idempotency_key') not between 1 and 255 then
      'idempotency_key has not 1 to 255 characters'
    when coalesce(nullif(p_task -> 'on_conflict', 'null'), '"existing"')
      not in ('"existing"', '"reject"') then
      'on_conflict is neither "existing" nor "reject"'
  end;
end
$$;
