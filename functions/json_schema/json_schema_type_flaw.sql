-- What is wrong with the value of `type`.
create or replace function tasker.json_schema_type_flaw(p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case
    when p_value = '[]'
      or not p_value <@ '["null", "boolean", "object", "array", "number", "integer", "string"]'
    then ': expected the name of a type or an array of names' end;
$$;
