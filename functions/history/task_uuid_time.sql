-- When a task was submitted, as its UUID tells.
create or replace function tasker.task_uuid_time(p_task_uuid uuid)
returns timestamptz
language sql
immutable strict parallel safe
as $$
  select to_timestamp(
    ('x' || lpad(left(replace(p_task_uuid::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0
  )
$$;
