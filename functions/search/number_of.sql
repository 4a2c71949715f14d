-- The number that a text of up to 256 characters is, written as JSON writes numbers; null for any other.
create or replace function tasker.number_of(p_text text)
returns numeric
language sql
immutable parallel safe
as $$
  select case
    -- What begins with a letter is not looked at further.
    when p_text < ':' collate "C" and length(p_text) <= 256
      and p_text ~ '^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$'
      then p_text::numeric
  end
$$;
