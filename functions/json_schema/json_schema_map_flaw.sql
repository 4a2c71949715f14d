-- The part of tasker.json_schema_flaw for keywords that hold an object of schemas, or of arrays.
create or replace function tasker.json_schema_map_flaw(
  p_root jsonb, p_keyword text, p_map jsonb, p_depth int
)
returns text
language plpgsql stable
as $$
declare
  v_key text;
  v_value jsonb;
  v_flaw text;
begin
  if jsonb_typeof(p_map) <> 'object' then
    return format(': expected an object, found %s', jsonb_typeof(p_map));
  end if;
  for v_key, v_value in select key, value from jsonb_each(p_map) loop
    if p_keyword = 'patternProperties' then
      v_flaw := tasker.json_schema_pattern_flaw(v_key);
    end if;
    v_flaw := coalesce(v_flaw, case p_keyword
      when 'dependentRequired' then tasker.json_schema_strings_flaw(v_value)
      else tasker.json_schema_flaw(p_root, v_value, p_depth) end);
    if v_flaw is not null then
      return tasker.json_path_segment(v_key) || v_flaw;
    end if;
  end loop;
  return null;
end
$$;
