-- The roles that processes play, by role and name. silent marks those that were not seen for half a
-- minute: they were killed, or do not reach the database.
create or replace function tasker.list_processes()
returns table (
  identity text, role text, host text, pid int, version text, mode text, namespaces text[],
  handlers text[], places int, taken int, started_at timestamptz, last_seen_at timestamptz,
  last_seen_seconds_ago double precision, silent boolean
)
language sql
stable
as $$
  select p.identity, p.role, p.host, p.pid, p.version, p.mode, p.namespaces, p.handlers, p.places,
    p.taken, p.started_at, p.last_seen_at,
    greatest(extract(epoch from clock_timestamp() - p.last_seen_at), 0)::double precision,
    not tasker.is_live(p.last_seen_at)
  from tasker.processes p
  order by p.role, p.identity, p.started_at
  limit 10000
$$;
