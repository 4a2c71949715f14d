-- The versions of the worker protocol that this schema speaks, from the oldest to the newest:
-- docs/worker-protocol.md. A worker runs where its own is among them.
create or replace function tasker.worker_protocol(out newest int, out oldest int)
language sql
immutable parallel safe
as $$
  select 1, 1
$$;
