-- The namespaces whose queue cannot be used at the moment, with the cause, the same in words, and what a
-- person can do where it does not pass by itself; see tasker.why_queue_fails().
create or replace function tasker.queue_troubles()
returns table (namespace text, cause text, detail text, action text)
language sql
stable
as $$
  select n.namespace, w.why ->> 'cause', w.why ->> 'detail', w.why ->> 'action'
  from tasker.namespaces n
  cross join lateral (select tasker.why_queue_fails(n.namespace, n.queue_name) as why offset 0) w
  where w.why is not null
  order by n.namespace
  limit 1000
$$;
