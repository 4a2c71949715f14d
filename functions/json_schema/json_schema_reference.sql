-- The schema that a `$ref` stands for; null when there is none. References are `#` and
-- `#/$defs/name`, where `name` is a segment of a JSON pointer.
create or replace function tasker.json_schema_reference(p_root jsonb, p_reference text)
returns jsonb
language sql immutable parallel safe
as $$
  select case
    when p_reference = '#' then p_root
    when p_reference ~ '^#/\$defs/[^/%]*$' then
      p_root -> '$defs' -> replace(replace(substr(p_reference, 9), '~1', '/'), '~0', '~')
  end;
$$;
