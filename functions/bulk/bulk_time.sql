-- The time under a key of a filter, in the form that all readers of the act know. Raises TK400 for a text
-- that is none.
create or replace function tasker.bulk_time(p_filter jsonb, p_key text)
returns jsonb
language plpgsql
stable
as $$
declare
  v_at timestamptz;
begin
  begin
    v_at := p_filter ->> p_key;
  exception when data_exception then
    v_at := null;
  end;
  if not coalesce(v_at >= '0001-01-02' and v_at < '9999-12-31', false) then
    raise exception using
      errcode = 'TK400', message = format('filter.%s is no time', p_key),
      hint = 'write it as 2030-05-01T12:00:00Z';
  end if;
  return to_jsonb(v_at);
end
$$;
