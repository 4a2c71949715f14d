-- The conditions of a filter (`where`), each with the paths that it is about and what it demands of their
-- values; those that name a value come first. Raises TK400 for more than 8, for what tasker.search_condition()
-- cannot read, and for a path that no template of the filter's namespace and name names.
create or replace function tasker.search_conditions(p_filter jsonb)
returns table (path text, operator text, operand text, path_ids int[], clause text)
language plpgsql
stable
as $$
declare
  v_where jsonb := p_filter -> 'where';
begin
  if jsonb_typeof(v_where) <> 'array'
    or jsonb_path_exists(v_where, 'strict $[*] ? (@.type() <> "string")')
  then
    raise exception using
      errcode = 'TK400', message = 'filter.where is no list of texts';
  end if;
  if jsonb_array_length(v_where) > 8 then
    raise exception using
      errcode = 'TK400', message = format('%s conditions; at most 8 are accepted',
        jsonb_array_length(v_where));
  end if;
  return query
  select c.path, c.operator, c.operand,
    tasker.known_search_paths(c.path, p_filter ->> 'namespace', p_filter ->> 'name'),
    tasker.search_clause(c.operator, c.operand)
  from jsonb_array_elements_text(v_where) with ordinality as w(condition, position)
  cross join lateral tasker.search_condition(w.condition) c
  order by c.operator <> '=', w.position;
end
$$;
