-- The part of tasker.json_schema_mismatch for the less common keywords about objects.
create or replace function tasker.json_schema_object_mismatch(
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
