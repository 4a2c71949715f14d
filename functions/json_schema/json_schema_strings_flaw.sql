-- What is wrong with a value that has to be an array of strings.
create or replace function tasker.json_schema_strings_flaw(p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case when jsonb_typeof(p_value) <> 'array'
    or jsonb_path_exists(p_value, 'strict $[*] ? (@.type() != "string")')
    then ': expected an array of strings' end;
$$;
