-- The handlers that live workers of a namespace know; those of workers that drain do not count,
-- because they take no more steps.
create or replace function tasker.known_handlers(p_namespace text)
returns text[]
language plpgsql
stable
as $$
begin
  return array(
    select distinct h.handler
    from tasker.processes p
    cross join unnest(p.handlers) as h(handler)
    where p.role = 'worker' and p.places > 0 and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
  );
end
$$;
