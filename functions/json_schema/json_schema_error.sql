-- Says what is wrong with a value according to a JSON Schema ("items[2].sku: is missing"), or null
-- when nothing is. The value of a task's context is checked with it at submission, in SQL, because
-- tasks are also submitted by plain SQL.
-- Only schemas that tasker.json_schema_refusal lets pass mean here what they mean elsewhere;
-- patterns are regular expressions of PostgreSQL.
-- Raises TK400 when the schema refers to itself without end.
create or replace function tasker.json_schema_error(p_schema jsonb, p_value jsonb)
returns text
language plpgsql immutable parallel safe
as $$
declare
  v_error text;
begin
  if p_schema is null then
    return null;
  end if;
  v_error := tasker.json_schema_mismatch(p_schema, p_schema, coalesce(p_value, 'null'), 0);
  return case when v_error is not null then regexp_replace(v_error, '^(\.|: )', '') end;
end
$$;
