-- An act that is under way and that no process has touched for p_age; null where there is none. Any of
-- several, so that one which always fails does not keep the others from their turn.
create or replace function tasker.abandoned_bulk_act(p_age interval default '30 s')
returns uuid
language sql
volatile
as $$
  select b.bulk_uuid
  from tasker.bulk_acts b
  where b.ended_at is null and b.touched_at < clock_timestamp() - p_age
  order by random()
  limit 1
$$;
