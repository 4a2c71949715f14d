-- What is wrong with a regular expression. Without backreferences one is matched in a time that is
-- bounded by the lengths of the pattern and the text; with them the time may double with each
-- character, and other submissions of the transaction wait for it.
create or replace function tasker.json_schema_pattern_flaw(p_pattern text)
returns text
language plpgsql stable
as $$
begin
  if tasker.may_refer_back(p_pattern) then
    return format(': a backreference like `\1` can take exponential time, in %s '
      '(write out what it repeats, or check it in a handler)', p_pattern);
  end if;
  perform '' ~ p_pattern;
  return null;
exception when invalid_regular_expression then
  return format(': %s, in %s', sqlerrm, p_pattern);
end
$$;
