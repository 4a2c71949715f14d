-- The parts of a condition: PATH=VALUE, PATH^=VALUE (begins with), PATH<VALUE, and so with <=, > and >=.
-- Raises TK400 for a text that is none.
create or replace function tasker.search_condition(
  p_text text, out path text, out operator text, out operand text
)
language plpgsql
immutable
as $$
declare
  v_parts text[] := regexp_match(p_text, '^([^=<>^!~]+)(\^=|<=|>=|=|<|>)(.*)$');
begin
  if v_parts is null then
    raise exception using
      errcode = 'TK400', message = format('%L is no condition', left(p_text, 100)),
      hint = 'conditions are PATH=VALUE, PATH^=BEGINNING, PATH<VALUE, PATH<=VALUE, PATH>VALUE and '
        'PATH>=VALUE';
  end if;
  path := v_parts[1];
  operator := v_parts[2];
  operand := v_parts[3];
end
$$;
