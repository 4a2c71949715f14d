-- Whether a backslash and a digit from 1 stand in a regular expression, other than after a backslash
-- that belongs to another escape. `\c` takes the next character with it in the usual syntax, but not
-- in the basic one, which an option at the start of the pattern selects: it is read both ways.
create or replace function tasker.may_refer_back(p_pattern text)
returns boolean
language sql immutable parallel safe
as $$
  select p_pattern ~ '^([^\\]|\\.)*\\[1-9]|^([^\\]|\\[^c]|\\c.)*\\[1-9]';
$$;
