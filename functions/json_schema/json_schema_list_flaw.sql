-- The part of tasker.json_schema_flaw for keywords that hold an array of schemas.
create or replace function tasker.json_schema_list_flaw(p_root jsonb, p_schemas jsonb, p_depth int)
returns text
language plpgsql stable
as $$
declare
  v_flaw text;
begin
  if jsonb_typeof(p_schemas) <> 'array' or p_schemas = '[]' then
    return ': expected an array of schemas, at least one';
  end if;
  for v_index in 0 .. jsonb_array_length(p_schemas) - 1 loop
    v_flaw := tasker.json_schema_flaw(p_root, p_schemas -> v_index, p_depth);
    if v_flaw is not null then
      return format('[%s]%s', v_index, v_flaw);
    end if;
  end loop;
  return null;
end
$$;
