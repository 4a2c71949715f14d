-- The least UUID that a task submitted at this moment can have; null for null.
create or replace function tasker.first_task_uuid(p_at timestamptz)
returns uuid
language sql
immutable strict parallel safe
as $$
  select (
    lpad(to_hex(
      least(greatest(floor(extract(epoch from p_at) * 1000), 0), 281474976710655)::bigint
    ), 12, '0') || '70008000000000000000'
  )::uuid
$$;
