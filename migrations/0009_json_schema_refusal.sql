-- Why a schema cannot be honoured ("properties.when: the keyword `format` is not honoured"), or null
-- when every keyword in it is known and well-formed and every reference leads somewhere.
create function tasker.json_schema_refusal(p_schema jsonb)
returns text
language plpgsql stable
as $$
begin
  return regexp_replace(tasker.json_schema_flaw(p_schema, p_schema, 0), '^(\.|: )', '');
end
$$;

-- The first flaw of p_schema, a part of p_root, with the way to it in front.
create function tasker.json_schema_flaw(p_root jsonb, p_schema jsonb, p_depth int)
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

-- The part of tasker.json_schema_flaw for keywords that hold an array of schemas.
create function tasker.json_schema_list_flaw(p_root jsonb, p_schemas jsonb, p_depth int)
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

-- The part of tasker.json_schema_flaw for keywords that hold an object of schemas, or of arrays.
create function tasker.json_schema_map_flaw(
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

-- What is wrong with a value that has to be a whole number from 0.
create function tasker.json_schema_count_flaw(p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case when jsonb_typeof(p_value) <> 'number' then ': expected a whole number from 0'
    when p_value::numeric < 0 or p_value::numeric <> trunc(p_value::numeric)
      then ': expected a whole number from 0' end;
$$;

-- What is wrong with a value that has to be an array of strings.
create function tasker.json_schema_strings_flaw(p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case when jsonb_typeof(p_value) <> 'array'
    or jsonb_path_exists(p_value, 'strict $[*] ? (@.type() != "string")')
    then ': expected an array of strings' end;
$$;

-- What is wrong with the value of `type`.
create function tasker.json_schema_type_flaw(p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case
    when p_value = '[]'
      or not p_value <@ '["null", "boolean", "object", "array", "number", "integer", "string"]'
    then ': expected the name of a type or an array of names' end;
$$;

-- What is wrong with the value of `$ref`.
create function tasker.json_schema_reference_flaw(p_root jsonb, p_value jsonb)
returns text
language sql immutable parallel safe
as $$
  select case
    when jsonb_typeof(p_value) <> 'string' then ': expected a string'
    when tasker.json_schema_reference(p_root, p_value #>> '{}') is null then
      format(': there is nothing at %s; references are # and #/$defs/name', p_value)
  end;
$$;

-- What is wrong with a regular expression. Without backreferences one is matched in a time that is
-- bounded by the lengths of the pattern and the text; with them the time may double with each
-- character, and other submissions of the transaction wait for it.
create function tasker.json_schema_pattern_flaw(p_pattern text)
returns text
language plpgsql stable
as $$
begin
  if tasker.may_refer_back(p_pattern) then
    return format(': a backreference like `\1` can take exponential time, in %s '
      '(write out what it repeats, or check it in a handler)', p_pattern);
  end if;
  perform '' ~ p_pattern;
  return null;
exception when invalid_regular_expression then
  return format(': %s, in %s', sqlerrm, p_pattern);
end
$$;

-- Whether a backslash and a digit from 1 stand in a regular expression, other than after a backslash
-- that belongs to another escape. `\c` takes the next character with it in the usual syntax, but not
-- in the basic one, which an option at the start of the pattern selects: it is read both ways.
create function tasker.may_refer_back(p_pattern text)
returns boolean
language sql immutable parallel safe
as $$
  select p_pattern ~ '^([^\\]|\\.)*\\[1-9]|^([^\\]|\\[^c]|\\c.)*\\[1-9]';
$$;
