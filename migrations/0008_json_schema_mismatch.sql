-- The way into an object, as errors write it: `.name`, or `["odd name"]`.
create function tasker.json_path_segment(p_key text)
returns text
language sql immutable parallel safe
as $$
  select case when p_key ~ '^[A-Za-z_$][A-Za-z0-9_$-]*$' then '.' || p_key
    else format('[%s]', to_jsonb(left(p_key, 60))) end;
$$;

-- The schema that a `$ref` stands for; null when there is none. References are `#` and
-- `#/$defs/name`, where `name` is a segment of a JSON pointer.
create function tasker.json_schema_reference(p_root jsonb, p_reference text)
returns jsonb
language sql immutable parallel safe
as $$
  select case
    when p_reference = '#' then p_root
    when p_reference ~ '^#/\$defs/[^/%]*$' then
      p_root -> '$defs' -> replace(replace(substr(p_reference, 9), '~1', '/'), '~0', '~')
  end;
$$;

-- The first thing that is wrong with p_value according to p_schema, a part of p_root. The way to it
-- from p_value is in front, so that a value without mistakes costs no text at all.
create function tasker.json_schema_mismatch(
  p_root jsonb, p_schema jsonb, p_value jsonb, p_depth int
)
returns text
language plpgsql immutable parallel safe
as $$
declare
  v_kind text := jsonb_typeof(p_value);
  v_type text;
  v_key text;
  v_error text;
begin
  if jsonb_typeof(p_schema) = 'boolean' then
    return case when not p_schema::boolean then ': is not allowed' end;
  end if;
  if p_depth > 64 then
    raise exception using
      errcode = 'TK400',
      message = 'the input schema applies more than 64 schemas inside each other',
      hint = 'does a $ref lead back to itself without going deeper into the value?';
  end if;

  v_type := p_schema ->> 'type';
  if v_type <> v_kind and not (
    p_schema -> 'type' @> to_jsonb(v_kind)
    or v_kind = 'number' and p_schema -> 'type' @> '"integer"'
      and p_value::numeric = trunc(p_value::numeric)
  ) then
    return format(': expected %s, found %s', replace(translate(v_type, '[]"', ''), ',', ' or'),
      case v_kind when 'number' then left(p_value::text, 40) else v_kind end);
  end if;

  if p_schema ?| '{enum,const,$ref,allOf,anyOf,oneOf,not,if}' then
    v_error := tasker.json_schema_logic_mismatch(p_root, p_schema, p_value, p_depth);
    if v_error is not null then
      return v_error;
    end if;
  end if;

  case v_kind
    when 'object' then
      for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'required'), 0) - 1 loop
        v_key := p_schema -> 'required' ->> v_index;
        if not p_value ? v_key then
          return tasker.json_path_segment(v_key) || ': is missing';
        end if;
      end loop;
      if p_schema ? 'properties' then
        select tasker.json_path_segment(found.key) || found.error into v_error
        from (
          select
            key,
            tasker.json_schema_mismatch(p_root, value, p_value -> key, p_depth + 1) as error
          from jsonb_each(p_schema -> 'properties')
          where p_value ? key
        ) as found
        where found.error is not null
        limit 1;
        if found then
          return v_error;
        end if;
      end if;
      if p_schema ?| '{additionalProperties,patternProperties,propertyNames,dependentRequired,
        minProperties,maxProperties}'
      then
        return tasker.json_schema_object_mismatch(p_root, p_schema, p_value, p_depth);
      end if;
    when 'array' then
      return tasker.json_schema_array_mismatch(p_root, p_schema, p_value, p_depth);
    when 'string' then
      return case
        when char_length(p_value #>> '{}') < (p_schema -> 'minLength')::numeric then
          format(': is shorter than %s characters', p_schema -> 'minLength')
        when char_length(p_value #>> '{}') > (p_schema -> 'maxLength')::numeric then
          format(': is longer than %s characters', p_schema -> 'maxLength')
        when p_value #>> '{}' !~ (p_schema ->> 'pattern') then
          format(': does not match the pattern %s', p_schema ->> 'pattern')
      end;
    when 'number' then
      return case
        when p_value::numeric < (p_schema -> 'minimum')::numeric then
          format(': is less than %s', p_schema -> 'minimum')
        when p_value::numeric > (p_schema -> 'maximum')::numeric then
          format(': is more than %s', p_schema -> 'maximum')
        when p_value::numeric <= (p_schema -> 'exclusiveMinimum')::numeric then
          format(': is not more than %s', p_schema -> 'exclusiveMinimum')
        when p_value::numeric >= (p_schema -> 'exclusiveMaximum')::numeric then
          format(': is not less than %s', p_schema -> 'exclusiveMaximum')
        when mod(p_value::numeric, (p_schema -> 'multipleOf')::numeric) <> 0 then
          format(': is not a multiple of %s', p_schema -> 'multipleOf')
      end;
    else
      return null;
  end case;
  return null;
end
$$;

-- The part of tasker.json_schema_mismatch for enum, const, references and combinations.
create function tasker.json_schema_logic_mismatch(
  p_root jsonb, p_schema jsonb, p_value jsonb, p_depth int
)
returns text
language plpgsql immutable parallel safe
as $$
declare
  v_target jsonb;
  v_error text;
  v_first_error text;
  v_count int := 0;
begin
  if p_schema -> 'const' <> p_value then
    return format(': is not %s', left((p_schema -> 'const')::text, 200));
  end if;
  if p_schema ? 'enum' and p_value not in (select jsonb_array_elements(p_schema -> 'enum')) then
    return format(': is none of %s', left((p_schema -> 'enum')::text, 200));
  end if;

  if p_schema ? '$ref' then
    v_target := tasker.json_schema_reference(p_root, p_schema ->> '$ref');
    if v_target is null then
      raise exception using
        errcode = 'TK400',
        message = format('the input schema has nothing at %s', p_schema ->> '$ref');
    end if;
    v_error := tasker.json_schema_mismatch(p_root, v_target, p_value, p_depth + 1);
    if v_error is not null then
      return v_error;
    end if;
  end if;

  for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'allOf'), 0) - 1 loop
    v_error := tasker.json_schema_mismatch(
      p_root, p_schema -> 'allOf' -> v_index, p_value, p_depth + 1);
    if v_error is not null then
      return v_error;
    end if;
  end loop;

  for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'anyOf'), 0) - 1 loop
    v_error := tasker.json_schema_mismatch(
      p_root, p_schema -> 'anyOf' -> v_index, p_value, p_depth + 1);
    exit when v_error is null;
    v_first_error := coalesce(v_first_error, v_error);
  end loop;
  if v_error is not null then
    return format(': matches no schema of anyOf; the first says %s',
      regexp_replace(v_first_error, '^(\.|: )', ''));
  end if;

  if p_schema ? 'oneOf' then
    v_first_error := null;
    for v_index in 0 .. coalesce(jsonb_array_length(p_schema -> 'oneOf'), 0) - 1 loop
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'oneOf' -> v_index, p_value, p_depth + 1);
      v_count := v_count + (v_error is null)::int;
      v_first_error := coalesce(v_first_error, v_error);
    end loop;
    if v_count = 0 then
      return format(': matches no schema of oneOf; the first says %s',
        regexp_replace(v_first_error, '^(\.|: )', ''));
    elsif v_count > 1 then
      return format(': matches %s schemas of oneOf, not one', v_count);
    end if;
  end if;

  if p_schema ? 'not'
    and tasker.json_schema_mismatch(p_root, p_schema -> 'not', p_value, p_depth + 1) is null
  then
    return ': matches the schema of not';
  end if;

  if p_schema ? 'if' and p_schema ?| '{then,else}' then
    v_target := p_schema -> case
      when tasker.json_schema_mismatch(p_root, p_schema -> 'if', p_value, p_depth + 1) is null
        then 'then'
      else 'else' end;
    if v_target is not null then
      return tasker.json_schema_mismatch(p_root, v_target, p_value, p_depth + 1);
    end if;
  end if;
  return null;
end
$$;

-- The part of tasker.json_schema_mismatch for the less common keywords about objects.
create function tasker.json_schema_object_mismatch(
  p_root jsonb, p_schema jsonb, p_value jsonb, p_depth int
)
returns text
language plpgsql immutable parallel safe
as $$
declare
  v_count int;
  v_key text;
  v_item jsonb;
  v_pattern text;
  v_pattern_schema jsonb;
  v_is_additional boolean;
  v_error text;
begin
  if p_schema ?| '{minProperties,maxProperties}' then
    select count(*) into v_count from jsonb_object_keys(p_value);
    if v_count < (p_schema -> 'minProperties')::numeric then
      return format(': has fewer than %s properties', p_schema -> 'minProperties');
    elsif v_count > (p_schema -> 'maxProperties')::numeric then
      return format(': has more than %s properties', p_schema -> 'maxProperties');
    end if;
  end if;

  if p_schema ? 'dependentRequired' then
    select format('%s: is missing, because %s is given',
      tasker.json_path_segment(required.key), to_jsonb(given.key))
    into v_error
    from jsonb_each(p_schema -> 'dependentRequired') as given(key, keys)
    cross join jsonb_array_elements_text(given.keys) as required(key)
    where p_value ? given.key and not p_value ? required.key
    limit 1;
    if found then
      return v_error;
    end if;
  end if;

  if not p_schema ?| '{additionalProperties,patternProperties,propertyNames}' then
    return null;
  end if;
  for v_key, v_item in select key, value from jsonb_each(p_value) loop
    if p_schema ? 'propertyNames' then
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'propertyNames', to_jsonb(v_key), p_depth + 1);
      if v_error is not null then
        return format('%s: the name %s', tasker.json_path_segment(v_key), substr(v_error, 3));
      end if;
    end if;
    v_is_additional := not coalesce(p_schema -> 'properties' ? v_key, false);
    if p_schema ? 'patternProperties' then
      for v_pattern, v_pattern_schema in
        select key, value from jsonb_each(p_schema -> 'patternProperties') where v_key ~ key
      loop
        v_is_additional := false;
        v_error := tasker.json_schema_mismatch(p_root, v_pattern_schema, v_item, p_depth + 1);
        if v_error is not null then
          return tasker.json_path_segment(v_key) || v_error;
        end if;
      end loop;
    end if;
    if v_is_additional and p_schema ? 'additionalProperties' then
      v_error := tasker.json_schema_mismatch(
        p_root, p_schema -> 'additionalProperties', v_item, p_depth + 1);
      if v_error is not null then
        return tasker.json_path_segment(v_key) || v_error;
      end if;
    end if;
  end loop;
  return null;
end
$$;

-- The part of tasker.json_schema_mismatch for arrays.
create function tasker.json_schema_array_mismatch(
  p_root jsonb, p_schema jsonb, p_value jsonb, p_depth int
)
returns text
language plpgsql immutable parallel safe
as $$
declare
  v_length int := jsonb_array_length(p_value);
  v_prefix int := coalesce(jsonb_array_length(p_schema -> 'prefixItems'), 0);
  v_count int := 0;
  v_item jsonb;
  v_index int := 0;
  v_error text;
begin
  if v_length < (p_schema -> 'minItems')::numeric then
    return format(': has fewer than %s items', p_schema -> 'minItems');
  elsif v_length > (p_schema -> 'maxItems')::numeric then
    return format(': has more than %s items', p_schema -> 'maxItems');
  elsif p_schema -> 'uniqueItems' = 'true'
    and v_length > (select count(distinct item) from jsonb_array_elements(p_value) as item)
  then
    return ': has an item twice';
  end if;

  if v_prefix > 0 or p_schema ?| '{items,contains}' then
    for v_item in select jsonb_array_elements(p_value) loop
      v_error := tasker.json_schema_mismatch(
        p_root,
        case when v_index < v_prefix then p_schema -> 'prefixItems' -> v_index
          else coalesce(p_schema -> 'items', 'true') end,
        v_item, p_depth + 1);
      if v_error is not null then
        return format('[%s]%s', v_index, v_error);
      end if;
      if p_schema ? 'contains' then
        v_count := v_count + (tasker.json_schema_mismatch(
          p_root, p_schema -> 'contains', v_item, p_depth + 1) is null)::int;
      end if;
      v_index := v_index + 1;
    end loop;
  end if;

  if p_schema ? 'contains' then
    if v_count < coalesce((p_schema -> 'minContains')::numeric, 1) then
      return format(': has fewer than %s items that match the schema of contains',
        coalesce(p_schema ->> 'minContains', '1'));
    elsif v_count > (p_schema -> 'maxContains')::numeric then
      return format(': has more than %s items that match the schema of contains',
        p_schema -> 'maxContains');
    end if;
  end if;
  return null;
end
$$;
