-- The way into an object, as errors write it: `.name`, or `["odd name"]`.
create or replace function tasker.json_path_segment(p_key text)
returns text
language sql immutable parallel safe
as $$
  select case when p_key ~ '^[A-Za-z_$][A-Za-z0-9_$-]*$' then '.' || p_key
    else format('[%s]', to_jsonb(left(p_key, 60))) end;
$$;
