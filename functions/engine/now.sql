-- The time that the engine acts by. Tests move it with `set tasker.now = '...'`.
create or replace function tasker.now()
returns timestamptz
language sql
volatile
as $$
  select coalesce(
    nullif(current_setting('tasker.now', true), '')::timestamptz,
    clock_timestamp()
  )
$$;
