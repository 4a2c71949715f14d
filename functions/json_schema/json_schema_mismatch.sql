-- The first thing that is wrong with p_value according to p_schema, a part of p_root. The way to it
-- from p_value is in front, so that a value without mistakes costs no text at all.
create or replace function tasker.json_schema_mismatch(
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
