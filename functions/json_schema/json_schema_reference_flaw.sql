-- What is wrong with the value of `$ref`.
create or replace function tasker.json_schema_reference_flaw(p_root jsonb, p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case
    when jsonb_typeof(p_value) <> 'string' then ': expected a string'
    when tasker.json_schema_reference(p_root, p_value #>> '{}') is null then
      format(': there is nothing at %s; references are # and #/$defs/name', p_value)
  end;
$$;
