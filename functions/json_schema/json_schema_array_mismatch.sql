-- The part of tasker.json_schema_mismatch for arrays.
create or replace function tasker.json_schema_array_mismatch(
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
