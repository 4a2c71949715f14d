-- Why a schema cannot be honoured ("properties.when: the keyword `format` is not honoured"), or null
-- when every keyword in it is known and well-formed and every reference leads somewhere.
create or replace function tasker.json_schema_refusal(p_schema jsonb)
returns text
language plpgsql stable
as $$
begin
  return regexp_replace(tasker.json_schema_flaw(p_schema, p_schema, 0), '^(\.|: )', '');
end
$$;
