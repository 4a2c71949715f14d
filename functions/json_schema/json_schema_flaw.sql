-- The first flaw of p_schema, a part of p_root, with the way to it in front.
create or replace function tasker.json_schema_flaw(p_root jsonb, p_schema jsonb, p_depth int)
returns text
language plpgsql stable
as $$
declare
  v_keyword text;
  v_value jsonb;
  v_flaw text;
begin
  if jsonb_typeof(p_schema) = 'boolean' then
    return null;
  elsif jsonb_typeof(p_schema) <> 'object' then
    return format(': expected a schema, found %s', jsonb_typeof(p_schema));
  elsif p_depth > 64 then
    return ': schemas nested deeper than 64';
  end if;
  for v_keyword, v_value in select key, value from jsonb_each(p_schema) loop
    v_flaw := case
      when v_keyword in ('default', 'const') then null
      when v_keyword in ('$schema', '$id', '$defs') and p_depth > 0 then
        ': only allowed at the root of the schema'
      when v_keyword in ('$schema', '$id', '$comment', 'title', 'description', 'pattern') then
        case when jsonb_typeof(v_value) <> 'string' then ': expected a string' end
      when v_keyword in ('deprecated', 'readOnly', 'writeOnly', 'uniqueItems') then
        case when jsonb_typeof(v_value) <> 'boolean' then ': expected true or false' end
      when v_keyword in ('enum', 'examples') then
        case when jsonb_typeof(v_value) <> 'array' then ': expected an array' end
      when v_keyword in ('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum') then
        case when jsonb_typeof(v_value) <> 'number' then ': expected a number' end
      when v_keyword = 'multipleOf' then
        case when v_value is null or jsonb_typeof(v_value) <> 'number' or v_value <= '0' then
          ': expected a number above 0' end
      when v_keyword in (
        'minLength', 'maxLength', 'minItems', 'maxItems', 'minContains', 'maxContains',
        'minProperties', 'maxProperties'
      ) then tasker.json_schema_count_flaw(v_value)
      when v_keyword = 'required' then tasker.json_schema_strings_flaw(v_value)
      when v_keyword = 'type' then tasker.json_schema_type_flaw(v_value)
      when v_keyword = '$ref' then tasker.json_schema_reference_flaw(p_root, v_value)
      when v_keyword in (
        'additionalProperties', 'propertyNames', 'items', 'contains', 'not', 'if', 'then', 'else'
      ) then tasker.json_schema_flaw(p_root, v_value, p_depth + 1)
      when v_keyword in ('prefixItems', 'allOf', 'anyOf', 'oneOf') then
        tasker.json_schema_list_flaw(p_root, v_value, p_depth + 1)
      when v_keyword in ('properties', 'patternProperties', '$defs', 'dependentRequired') then
        tasker.json_schema_map_flaw(p_root, v_keyword, v_value, p_depth + 1)
      else format(': the keyword `%s` is not honoured', v_keyword)
    end;
    if v_flaw is null and v_keyword = 'pattern' then
      v_flaw := tasker.json_schema_pattern_flaw(v_value #>> '{}');
    end if;
    if v_flaw like ': the keyword %' then
      return v_flaw;
    elsif v_flaw is not null then
      return tasker.json_path_segment(v_keyword) || v_flaw;
    end if;
  end loop;
  return null;
end
$$;
