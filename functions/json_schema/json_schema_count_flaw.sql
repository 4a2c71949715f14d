-- What is wrong with a value that has to be a whole number from 0.
create or replace function tasker.json_schema_count_flaw(p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case when jsonb_typeof(p_value) <> 'number' then ': expected a whole number from 0'
    when p_value::numeric < 0 or p_value::numeric <> trunc(p_value::numeric)
      then ': expected a whole number from 0' end;
$$;
