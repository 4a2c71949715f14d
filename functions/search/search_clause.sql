-- A condition on rows of tasker.search_values as s, spelled out, so that it is planned by itself.
create or replace function tasker.search_clause(p_operator text, p_operand text)
returns text
language sql
immutable
as $$
  select case
    when p_operator = '=' then format('s.value = %L', left(p_operand, 256))
    when p_operator = '^=' then format(
      's.value like %L', regexp_replace(left(p_operand, 256), '([\\%_])', '\\\1', 'g') || '%'
    )
    when tasker.number_of(p_operand) is not null then format(
      's.number %s %L::numeric', p_operator, p_operand
    )
    else format('s.value %s %L', p_operator, p_operand)
  end
$$;
