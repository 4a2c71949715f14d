-- Why no orchestrator claims what is ready in a namespace; null where one could.
create or replace function tasker.why_nobody_claims(p_namespace text)
returns jsonb
language plpgsql
stable
as $$
declare
  v_last record;
begin
  if exists (
    select from tasker.processes p
    where p.role = 'orchestrator' and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
  ) then
    return null;
  end if;
  select * into v_last from tasker.last_seen('orchestrator', p_namespace);
  return jsonb_build_object(
    'cause', 'no_orchestrator',
    'detail', format('no orchestrator serves the namespace %s', p_namespace)
      || coalesce(': ' || v_last.in_words, ''),
    'action', 'start an orchestrator that serves it: tasker orchestrator',
    'evidence', jsonb_build_object(
      'namespace', p_namespace, 'last_orchestrator', v_last.identity,
      'last_seen_at', v_last.last_seen_at,
      'orchestrators_of_others', (
        select coalesce(jsonb_agg(o.seen), '[]')
        from (
          select jsonb_build_object('identity', p.identity, 'namespaces', p.namespaces) as seen
          from tasker.processes p
          where p.role = 'orchestrator' and tasker.is_live(p.last_seen_at)
          order by p.identity
          limit 10
        ) o
      )
    )
  );
end
$$;
