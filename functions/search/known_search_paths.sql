-- The identities of a path: one of each template that names it, of those of a namespace and a name where
-- they are given. Raises TK400 where none names it; the detail has the paths that there are.
create or replace function tasker.known_search_paths(p_path text, p_namespace text, p_name text)
returns int[]
language plpgsql
stable
as $$
declare
  v_path_ids int[] := array(
    select p.path_id from tasker.search_paths p
    where p.path = p_path and (p_namespace is null or p.namespace = p_namespace)
      and (p_name is null or p.name = p_name)
    order by p.path_id
  );
  v_others text;
begin
  if v_path_ids <> '{}' then
    return v_path_ids;
  end if;
  select string_agg(o.path, ', ') into v_others
  from (
    select p.path from tasker.search_paths p
    where (p_namespace is null or p.namespace = p_namespace)
      and (p_name is null or p.name = p_name)
    group by p.path
    order by abs(length(p.path) - length(p_path)), p.path
    limit 200
  ) o;
  raise exception using
    errcode = 'TK400',
    message = format('there is no search path %s', left(p_path, 100))
      || case when p_namespace is null and p_name is null then ''
        else format(' in templates %s/%s', coalesce(p_namespace, '*'), coalesce(p_name, '*')) end,
    detail = case when v_others is null then 'there are no search paths'
      else 'there are ' || v_others end,
    hint = case when v_others is null
      then format('templates name them: search: [%s]', left(p_path, 100))
      else 'the search paths are ' || left(v_others, 500) end;
end
$$;
