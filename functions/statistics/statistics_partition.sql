-- The partition of a day, as an identifier; it need not exist.
create or replace function tasker.statistics_partition(p_day date)
returns text
language sql
immutable parallel safe
as $$
  select 'statistics_samples_' || to_char(p_day, 'YYYYMMDD')
$$;
