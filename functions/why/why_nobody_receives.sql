-- Why no worker takes a step of this handler from the queue of a namespace; nothing where one could: no
-- worker is there, none knows the handler, those that do drain, or have no place free. Names ten workers
-- at most, and as many of the steps that take their places, found among the hundred oldest tasks.
create or replace function tasker.why_nobody_receives(
  p_namespace text, p_handler text,
  out cause text, out detail text, out action text, out evidence jsonb
)
language plpgsql
stable
set enable_hashjoin to off
set enable_mergejoin to off
as $$
declare
  c_most constant int := 10;
  v_there int;
  v_knowing int;
  v_taking int;
  v_places int;
  v_taken int;
  v_last record;
  v_workers jsonb;
  v_identities text[];
begin
  select count(*), count(*) filter (where p_handler = any(p.handlers)),
    count(*) filter (where p_handler = any(p.handlers) and p.places > 0),
    coalesce(sum(p.places) filter (where p_handler = any(p.handlers)), 0),
    coalesce(sum(p.taken) filter (where p_handler = any(p.handlers)), 0),
    array_agg(p.identity) filter (where p_handler = any(p.handlers))
  into v_there, v_knowing, v_taking, v_places, v_taken, v_identities
  from tasker.processes p
  where p.role = 'worker' and tasker.is_live(p.last_seen_at)
    and (p.namespaces = '{}' or p_namespace = any(p.namespaces));
  if v_taking > 0 and exists (
    select from tasker.processes p
    where p.role = 'worker' and tasker.is_live(p.last_seen_at) and p.taken < p.places
      and p_handler = any(p.handlers) and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
  ) then
    return;
  end if;

  select coalesce(jsonb_agg(w.seen), '[]') into v_workers
  from (
    select jsonb_build_object(
      'identity', p.identity, 'handlers', p.handlers[:50], 'places', p.places, 'taken', p.taken
    ) as seen
    from tasker.processes p
    where p.role = 'worker' and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
      and (v_knowing = 0 or p_handler = any(p.handlers))
    order by p.identity
    limit c_most
  ) w;
  evidence := jsonb_build_object(
    'namespace', p_namespace, 'handler', p_handler, 'workers', v_workers
  );
  if v_there = 0 then
    select p.identity, p.last_seen_at into v_last
    from tasker.processes p
    where p.role = 'worker' and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
    order by p.last_seen_at desc
    limit 1;
    cause := 'no_worker';
    detail := format('no worker serves the namespace %s', p_namespace)
      || coalesce(format(': %s was last seen %s ago', quote_ident(v_last.identity),
        tasker.in_words(clock_timestamp() - v_last.last_seen_at)), '');
    action := format('start a worker that serves %s and knows %s', p_namespace, p_handler);
    evidence := evidence || jsonb_build_object(
      'last_worker', v_last.identity, 'last_seen_at', v_last.last_seen_at
    );
  elsif v_knowing = 0 then
    cause := 'unknown_handler';
    detail := format('none of the %s live workers of the namespace %s knows the handler %s',
      v_there, p_namespace, p_handler);
    action := format('start a worker that knows %s, or deploy it to those that run', p_handler);
  elsif v_taking = 0 then
    cause := 'workers_drain';
    detail := format('all %s workers that know the handler %s are shutting down', v_knowing,
      p_handler);
    action := format('start a worker that knows %s', p_handler);
  else
    cause := 'no_free_place';
    detail := format('all %s places of the %s workers that know the handler %s are taken', v_places,
      v_taking, p_handler);
    action := 'wait, start another worker, or raise worker.concurrency';
    evidence := evidence || jsonb_build_object(
      'places', v_places, 'taken', v_taken, 'running', (
        select coalesce(jsonb_agg(r.running), '[]')
        from (
          select jsonb_build_object(
            'task_uuid', s.task_uuid, 'step', ts.name, 'worker', s.worker, 'since', s.started_at
          ) as running
          from (
            select t.task_uuid from tasker.tasks t
            where t.listed_as = 'in_progress'
            order by t.task_uuid
            limit 100
          ) t
          join tasker.steps s on s.task_uuid = t.task_uuid
          join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
          where s.state = 'in_progress' and s.worker = any(v_identities)
          limit c_most
        ) r
      )
    );
  end if;
end
$$;
