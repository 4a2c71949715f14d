-- Creates the tasks of a JSON array as tasker.submit_tasks() describes, all or none, in the caller's
-- transaction.
--
-- With p_processor, an orchestrator in the process of the submitter, it also does what that would do next,
-- where the template's namespace is among p_namespaces (null for all): the task starts, its roots are
-- enqueued, and no ready rows are made. Raises what the queue raises; the caller then submits without.
create or replace function tasker.create_tasks(
  p_tasks jsonb, p_processor text default null, p_namespaces text[] default null
)
returns table (
  "position" int, task_uuid uuid, created boolean, context_differs boolean, enqueued_in text
)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
  v_bad record;
  v_namespaces text[];
  v_names text[];
  v_versions text[];
  v_priorities int[];
  v_contexts jsonb[];
  v_keys text[];
  v_uuids uuid[];
  v_known_uuids uuid[];
  v_is_key_gone boolean;
  v_new boolean[];
  v_conflicts text[];
  v_differs boolean[];
  v_templates int[];
  v_roots int[];
  v_has_schema boolean;
  v_has_paths boolean;
  v_queues text[];
  v_queue record;
  v_msgs bigint[];
begin
  if jsonb_typeof(p_tasks) is distinct from 'array' then
    raise exception using errcode = 'TK400', message = 'the tasks are not a JSON array';
  end if;

  if jsonb_array_length(p_tasks) = 1
    and current_setting('tasker.path_for_one', true) is distinct from 'off' then
    return query
    select 1, o.task_uuid, true, false, o.enqueued_in
    from tasker.create_one_task(p_tasks -> 0, p_processor, p_namespaces) o
    where o.task_uuid is not null;
    if found then
      return;
    end if;
  end if;

  select t.position, t.problem into v_bad
  from (
    select ordinality as position, tasker.task_problem(task) as problem
    from jsonb_array_elements(p_tasks) with ordinality as e(task, ordinality)
  ) t
  where t.problem is not null
  order by t.position
  limit 1;
  if found then
    raise exception using
      errcode = 'TK400',
      message = case jsonb_array_length(p_tasks) when 1 then v_bad.problem
        else format('task %s: %s', v_bad.position - 1, v_bad.problem) end;
  end if;

  select
    array_agg(task ->> 'namespace'), array_agg(task ->> 'name'), array_agg(task ->> 'version'),
    array_agg(coalesce((task ->> 'priority')::numeric::int, 0)),
    array_agg(coalesce(nullif(task -> 'context', 'null'), '{}')),
    array_agg(task ->> 'idempotency_key'), array_agg(task ->> 'on_conflict'),
    array_agg(tasker.new_task_uuid()), array_agg(true)
  into v_namespaces, v_names, v_versions, v_priorities, v_contexts, v_keys, v_conflicts, v_uuids,
    v_new
  from jsonb_array_elements(p_tasks) as task;

  -- Templates are looked up once each. v_queues has the queue that the roots of each task go into at once,
  -- if any.
  with wanted as (
    select *
    from unnest(v_namespaces, v_names, v_versions)
      with ordinality as w(namespace, name, version, position)
  ), found_templates as materialized (
    select f.*, t.input_schema is not null as has_schema,
      (select count(*)::int from tasker.template_steps s
        where s.template_id = f.template_id and s.depends_on = '{}') as roots,
      exists (select from tasker.template_paths p where p.template_id = f.template_id) as has_paths,
      case when p_processor is not null
        and (p_namespaces is null or n.namespace = any(p_namespaces))
        and exists (select from tasker.queues_intact) then n.queue_name end as queue
    from (
      select w.namespace, w.name, w.version,
        tasker.find_template(w.namespace, w.name, w.version) as template_id
      from wanted w
      group by w.namespace, w.name, w.version
      offset 0
    ) f
    join tasker.templates t on t.template_id = f.template_id
    join tasker.namespaces n on n.namespace = f.namespace
  )
  select array_agg(f.template_id order by w.position), array_agg(f.roots order by w.position),
    array_agg(f.queue order by w.position), bool_or(f.has_schema), bool_or(f.has_paths)
  into v_templates, v_roots, v_queues, v_has_schema, v_has_paths
  from wanted w
  join found_templates f
    on f.namespace = w.namespace and f.name = w.name and f.version is not distinct from w.version;

  if v_has_schema then
    select c.position, tasker.json_schema_error(t.input_schema, c.context) as problem
    into v_bad
    from unnest(v_templates, v_contexts) with ordinality as c(template_id, context, position)
    join tasker.templates t on t.template_id = c.template_id
    where t.input_schema is not null
      and tasker.json_schema_error(t.input_schema, c.context) is not null
    order by c.position
    limit 1;
    if found then
      raise exception using
        errcode = 'TK400',
        message = case jsonb_array_length(p_tasks)
          when 1 then format('the context does not fit the input schema: %s', v_bad.problem)
          else format('task %s: the context does not fit the input schema: %s',
            v_bad.position - 1, v_bad.problem) end;
    end if;
  end if;

  if array_remove(v_keys, null) <> '{}' then
    -- A key belongs to the task that inserts it first; in key order, so that two batches never
    -- deadlock.
    loop
      insert into tasker.idempotency_keys as k (namespace, name, idempotency_key, task_uuid)
      select t.namespace, t.name, t.idempotency_key, t.task_uuid
      from unnest(v_namespaces, v_names, v_keys, v_uuids) with ordinality
        as t(namespace, name, idempotency_key, task_uuid, position)
      where t.idempotency_key is not null
      order by t.namespace, t.name, t.idempotency_key, t.position
      on conflict do nothing;

      select array_agg(coalesce(k.task_uuid, t.task_uuid) order by t.position),
        array_agg(k.task_uuid is null or k.task_uuid = t.task_uuid order by t.position),
        coalesce(bool_or(t.idempotency_key is not null and k.task_uuid is null), false)
      into v_known_uuids, v_new, v_is_key_gone
      from unnest(v_namespaces, v_names, v_keys, v_uuids) with ordinality
        as t(namespace, name, idempotency_key, task_uuid, position)
      left join tasker.idempotency_keys k
        on k.namespace = t.namespace and k.name = t.name
          and k.idempotency_key = t.idempotency_key;
      -- One that was in the way of the insertion may have been deleted after it, with its task.
      exit when not v_is_key_gone;
    end loop;
    v_uuids := v_known_uuids;
    v_queues := array(
      select case when u.is_new then u.queue end
      from unnest(v_queues, v_new) with ordinality as u(queue, is_new, position)
      order by u.position
    );
  end if;

  insert into tasker.tasks
    (task_uuid, created_at, started_at, template_id, state, priority, active_steps, context,
      idempotency_key)
  select n.task_uuid, v_now, case when n.queue is not null then v_now end, n.template_id,
    case when n.queue is null then 'pending' else 'in_progress' end::tasker.task_state, n.priority,
    n.roots, n.context, n.idempotency_key
  from unnest(v_uuids, v_new, v_templates, v_roots, v_priorities, v_contexts, v_keys, v_queues)
    as n(task_uuid, is_new, template_id, roots, priority, context, idempotency_key, queue)
  where n.is_new;

  if false = any(v_new) then
    select array_agg(coalesce(t.context <> n.context, false) order by n.position) into v_differs
    from unnest(v_uuids, v_new, v_contexts) with ordinality
      as n(task_uuid, is_new, context, position)
    left join lateral (
      select k.context from tasker.tasks k
      where k.task_uuid = n.task_uuid and not n.is_new
      offset 0
    ) t on true;

    select c.position, v_keys[c.position] as idempotency_key, v_uuids[c.position] as task_uuid
    into v_bad
    from unnest(v_differs, v_conflicts) with ordinality as c(differs, on_conflict, position)
    where c.differs and c.on_conflict = 'reject'
    order by c.position
    limit 1;
    if found then
      raise exception using
        errcode = 'TK409',
        message = case jsonb_array_length(p_tasks) when 1 then ''
            else format('task %s: ', v_bad.position - 1) end
          || format('the idempotency key "%s" was used with another context, for task %s',
            v_bad.idempotency_key, v_bad.task_uuid),
        hint = 'use another key, or leave out on_conflict to be given that task';
    end if;
  end if;

  insert into tasker.steps
    (task_uuid, step_no, template_id, waiting_on, max_attempts, input_bytes)
  select n.task_uuid, s.step_no, s.template_id, cardinality(s.depends_on), s.max_attempts,
    pg_column_size(n.context)
  from unnest(v_uuids, v_new, v_templates, v_contexts, v_queues)
    as n(task_uuid, is_new, template_id, context, queue)
  join tasker.template_steps s on s.template_id = n.template_id
  where n.is_new and (n.queue is null or s.depends_on <> '{}');

  if v_has_paths then
    perform tasker.note_search_values(v_uuids, v_new, v_templates, v_contexts);
  end if;

  if array_position(v_queues, null) is not null then
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
    select n.task_uuid, s.step_no, s.template_id, n.priority, v_now, 'task_start'
    from unnest(v_uuids, v_new, v_templates, v_priorities, v_queues) with ordinality
      as n(task_uuid, is_new, template_id, priority, queue, position)
    cross join lateral (
      select * from tasker.template_steps s
      where s.template_id = n.template_id and s.depends_on = '{}'
      offset 0
    ) s
    where n.is_new and n.queue is null
    order by n.position, s.step_no;
  end if;

  for v_queue in
    select n.queue as name, array_agg(n.task_uuid) as tasks, array_agg(s.step_no) as steps,
      array_agg(s.max_attempts) as max_attempts, array_agg(n.template_id) as templates,
      array_agg(pg_column_size(n.context)) as bytes, array_agg(n.priority) as priorities,
      array_agg(tasker.step_message(n.task_uuid, s.step_no, s.handler, n.priority)) as messages
    from unnest(v_uuids, v_templates, v_priorities, v_contexts, v_queues) with ordinality
      as n(task_uuid, template_id, priority, context, queue, position)
    cross join lateral (
      select * from tasker.template_steps s
      where s.template_id = n.template_id and s.depends_on = '{}'
      offset 0
    ) s
    where n.queue is not null
    group by n.queue
    order by n.queue
  loop
    v_msgs := tasker.send_messages(v_queue.name, v_queue.messages);
    with started as (
      insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
      select distinct t.task_uuid, v_now, 'pending'::tasker.task_state,
        'in_progress'::tasker.task_state, p_processor
      from unnest(v_queue.tasks) as t(task_uuid)
    ), enqueued as (
      insert into tasker.steps
        (task_uuid, step_no, template_id, waiting_on, max_attempts, input_bytes, state, msg_id,
          enqueued_at)
      select s.task_uuid, s.step_no, s.template_id, 0, s.max_attempts, s.bytes, 'enqueued', s.msg_id,
        v_now
      from unnest(v_queue.tasks, v_queue.steps, v_queue.templates, v_queue.max_attempts,
          v_queue.bytes, v_msgs)
        as s(task_uuid, step_no, template_id, max_attempts, bytes, msg_id)
    )
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    select s.task_uuid, v_now, s.step_no, 0, 'pending', 'enqueued', p_processor
    from unnest(v_queue.tasks, v_queue.steps) as s(task_uuid, step_no);
    perform tasker.note_priorities(v_queue.priorities);
  end loop;

  if current_setting('tasker.announce', true) is not distinct from 'off' then
    null;
  elsif v_new = '{t}' then
    perform tasker.announce_task_state(p_tasks #>> '{0,namespace}', 'pending', v_uuids);
  else
    perform tasker.announce_task_states(array_agg(u.task_uuid), 'pending')
    from unnest(v_uuids, v_new) as u(task_uuid, is_new)
    where u.is_new
    having count(*) > 0;
  end if;

  return query
  select u.position::int, u.task_uuid, u.is_new, coalesce(u.differs, false), u.queue
  from unnest(v_uuids, v_new, v_differs, v_queues) with ordinality
    as u(task_uuid, is_new, differs, queue, position);
end
$$;
