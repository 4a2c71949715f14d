-- Of the processes of a role that serve a namespace the one that was last seen, and how long ago in
-- words; nulls where none is remembered, as each is for a minute after it was last seen.
create or replace function tasker.last_seen(
  p_role text, p_namespace text,
  out identity text, out last_seen_at timestamptz, out in_words text
)
language sql
stable
as $$
  select p.identity, p.last_seen_at,
    format('%s was last seen %s ago', p.identity,
      tasker.in_words(clock_timestamp() - p.last_seen_at))
  from tasker.processes p
  where p.role = p_role and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
  order by p.last_seen_at desc
  limit 1
$$;
