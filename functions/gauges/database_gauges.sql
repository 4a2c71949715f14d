-- What the gauges of orchestrators show of the database; see tasker.bounded_gauges().
create or replace function tasker.database_gauges(
  out backlogs jsonb, out live_orchestrators int, out live_workers int, out silent jsonb,
  out notification_queue_usage double precision, out held_back_seconds double precision,
  out held_back_transactions bigint
)
language sql
as $$
  select g.* from tasker.bounded_gauges(10000) g
$$;
