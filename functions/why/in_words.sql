-- A time as people say it, in its two largest units: 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
create or replace function tasker.in_words(p_time interval)
returns text
language plpgsql
immutable
as $$
declare
  v_seconds bigint := greatest(floor(extract(epoch from p_time)), 0);
begin
  return case
    when v_seconds < 60 then format('%s s', v_seconds)
    when v_seconds < 3600 then format('%s min %s s', v_seconds / 60, v_seconds % 60)
    when v_seconds < 86400 then format('%s h %s min', v_seconds / 3600, v_seconds / 60 % 60)
    else format('%s d %s h', v_seconds / 86400, v_seconds / 3600 % 24)
  end;
end
$$;
