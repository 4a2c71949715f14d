-- Whether a process that was seen at this time lives: three times the interval at which processes
-- are seen have not passed since.
create or replace function tasker.is_live(p_last_seen_at timestamptz)
returns boolean
language sql
as $$
  select p_last_seen_at > clock_timestamp() - interval '30 s'
$$;
