-- The part of tasker.json_schema_mismatch for enum, const, references and combinations.
create or replace function tasker.json_schema_logic_mismatch(
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
