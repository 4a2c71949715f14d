-- What is wrong with the `search` of a template, or null. The reader of templates says it better; this is
-- for those that are stored in plain SQL.
create or replace function tasker.search_refusal(p_search jsonb)
returns text
language sql
immutable
as $$
  select case
    when jsonb_typeof(p_search) <> 'array' then 'it is no list of paths'
    when jsonb_array_length(p_search) > 16 then 'it has more than 16 paths'
    else (
      select format('%s is no path', p.path)
      from jsonb_array_elements(p_search) as p(path)
      where jsonb_typeof(p.path) <> 'string'
        or p.path #>> '{}' ~ '[=<>^!~[:space:][:cntrl:]]|^\.|\.\.|\.$|^$|[^.]{65}'
      limit 1
    )
  end
$$;
