-- Why no worker takes a step of this handler from the queue of a namespace; null where one could: no
-- worker is there, none knows the handler, those that do drain, or have no place free. Names ten workers
-- at most, and as many of the steps that take their places, found among the hundred oldest tasks.
create or replace function tasker.why_nobody_receives(p_namespace text, p_handler text)
returns jsonb
language plpgsql
stable
set enable_hashjoin to off
set enable_mergejoin to off
as $$
declare
  c_most constant int := 10;
  v_there record;
  v_last record;
  v_evidence jsonb;
begin
  select count(*) as workers,
    count(*) filter (where w.knows) as knowing,
    count(*) filter (where w.knows and w.places > 0) as taking,
    coalesce(bool_or(w.knows and w.taken < w.places), false) as has_place,
    sum(w.places) filter (where w.knows) as places,
    array_agg(w.identity) filter (where w.knows) as identities
  into v_there
  from (
    select p.*, p_handler = any(p.handlers) as knows
    from tasker.processes p
    where p.role = 'worker' and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
  ) w;
  if v_there.has_place then
    return null;
  end if;

  select jsonb_build_object(
    'namespace', p_namespace, 'handler', p_handler, 'workers', coalesce(jsonb_agg(w.seen), '[]')
  ) into v_evidence
  from (
    select jsonb_build_object(
      'identity', p.identity, 'handlers', p.handlers[:50], 'places', p.places, 'taken', p.taken
    ) as seen
    from tasker.processes p
    where p.role = 'worker' and tasker.is_live(p.last_seen_at)
      and (p.namespaces = '{}' or p_namespace = any(p.namespaces))
      and (v_there.knowing = 0 or p_handler = any(p.handlers))
    order by p.identity
    limit c_most
  ) w;
  if v_there.workers = 0 then
    select * into v_last from tasker.last_seen('worker', p_namespace);
    return jsonb_build_object(
      'cause', 'no_worker',
      'detail', format('no worker serves the namespace %s', p_namespace)
        || coalesce(': ' || v_last.in_words, ''),
      'action', format('start a worker that serves %s and knows %s', p_namespace, p_handler),
      'evidence', v_evidence || jsonb_build_object(
        'last_worker', v_last.identity, 'last_seen_at', v_last.last_seen_at
      )
    );
  elsif v_there.knowing = 0 then
    return jsonb_build_object(
      'cause', 'unknown_handler',
      'detail', case when v_there.workers = 1
        then format('the only live worker of the namespace %s does not know the handler %s',
          p_namespace, p_handler)
        else format('none of the %s live workers of the namespace %s knows the handler %s',
          v_there.workers, p_namespace, p_handler)
      end,
      'action', format('start a worker that knows %s, or deploy it to those that run', p_handler),
      'evidence', v_evidence
    );
  elsif v_there.taking = 0 then
    return jsonb_build_object(
      'cause', 'workers_drain',
      'detail', format('every worker that knows the handler %s is shutting down', p_handler),
      'action', format('start a worker that knows %s', p_handler),
      'evidence', v_evidence
    );
  end if;
  return jsonb_build_object(
    'cause', 'no_free_place',
    'detail', format('every worker that knows the handler %s is busy: %s of %s places are taken',
      p_handler, v_there.places, v_there.places),
    'action', 'wait, start another worker, or raise worker.concurrency',
    'evidence', v_evidence || jsonb_build_object('running', (
      select coalesce(jsonb_agg(r.running), '[]')
      from (
        select jsonb_build_object(
          'task_uuid', s.task_uuid, 'step_name', ts.name, 'worker', s.worker,
          'started_at', s.started_at
        ) as running
        from (
          select t.task_uuid from tasker.tasks t
          where t.listed_as = 'in_progress'
          order by t.task_uuid
          limit 100
        ) t
        join tasker.steps s on s.task_uuid = t.task_uuid
        join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
        where s.state = 'in_progress' and s.worker = any(v_there.identities)
        limit c_most
      ) r
    ))
  );
end
$$;
