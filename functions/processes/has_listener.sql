-- Whether a live orchestrator listens for one of these namespaces; for any, where they are null.
create or replace function tasker.has_listener(p_namespaces text[])
returns boolean
language sql
as $$
  select exists (
    select from tasker.processes p
    where p.role = 'orchestrator' and p.mode <> 'PollingOnly' and tasker.is_live(p.last_seen_at)
      and (p_namespaces is null or p.namespaces = '{}' or p.namespaces && p_namespaces)
  )
$$;
