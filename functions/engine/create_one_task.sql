-- What tasker.create_tasks() does with sets, for one task, in statements of one row. Answers nothing, and
-- has changed nothing, where the task is refused or its idempotency key is known. What it enqueues it
-- announces by itself.
create or replace function tasker.create_one_task(
  p_task jsonb, p_processor text, p_namespaces text[], out task_uuid uuid, out enqueued_in text
)
language plpgsql
as $$
declare
  v_namespace text := p_task ->> 'namespace';
  v_name text := p_task ->> 'name';
  v_key text := p_task ->> 'idempotency_key';
  v_context jsonb := coalesce(nullif(p_task -> 'context', 'null'), '{}');
  v_now timestamptz := tasker.now();
  v_task_uuid uuid := tasker.new_task_uuid();
  v_priority int;
  v_template record;
  v_queue text;
  v_messages jsonb[];
  v_msgs bigint[];
begin
  if tasker.task_problem(p_task) is not null then
    return;
  end if;
  v_priority := coalesce((p_task ->> 'priority')::numeric::int, 0);
  select t.template_id, t.input_schema, n.queue_name, r.roots, r.handlers,
    exists (select from tasker.template_paths p where p.template_id = t.template_id) as has_paths,
    exists (select from tasker.queues_intact) as has_queues
  into v_template
  from tasker.templates t
  left join tasker.namespaces n on n.namespace = t.namespace
  cross join lateral (
    select array_agg(s.step_no) as roots, array_agg(s.handler) as handlers
    from tasker.template_steps s
    where s.template_id = t.template_id and s.depends_on = '{}'
  ) r
  where t.template_id = tasker.find_template(v_namespace, v_name, p_task ->> 'version');
  if v_template.input_schema is not null
    and tasker.json_schema_error(v_template.input_schema, v_context) is not null then
    return;
  end if;
  if v_key is not null then
    insert into tasker.idempotency_keys (namespace, name, idempotency_key, task_uuid)
    values (v_namespace, v_name, v_key, v_task_uuid)
    on conflict do nothing;
    if not found then
      return;
    end if;
  end if;

  if p_processor is not null and (p_namespaces is null or v_namespace = any(p_namespaces))
    and v_template.has_queues and v_template.queue_name is not null then
    v_queue := v_template.queue_name;
    for v_no in 1..cardinality(v_template.roots) loop
      v_messages := v_messages
        || tasker.step_message(v_task_uuid, v_template.roots[v_no], v_template.handlers[v_no], v_priority);
    end loop;
    v_msgs := tasker.send_messages(v_queue, v_messages);
    perform tasker.note_priorities(array[v_priority]);
  end if;

  insert into tasker.tasks
    (task_uuid, created_at, started_at, template_id, state, priority, active_steps, context,
      idempotency_key)
  values (
    v_task_uuid, v_now, case when v_queue is not null then v_now end, v_template.template_id,
    case when v_queue is null then 'pending' else 'in_progress' end::tasker.task_state, v_priority,
    cardinality(v_template.roots), v_context, v_key
  );
  insert into tasker.steps
    (task_uuid, step_no, template_id, waiting_on, max_attempts, input_bytes, state, msg_id,
      enqueued_at)
  select v_task_uuid, s.step_no, v_template.template_id, cardinality(s.depends_on), s.max_attempts,
    pg_column_size(v_context),
    case when v_queue is not null and s.depends_on = '{}' then 'enqueued'
      else 'pending' end::tasker.step_state,
    v_msgs[array_position(v_template.roots, s.step_no)],
    case when v_queue is not null and s.depends_on = '{}' then v_now end
  from tasker.template_steps s
  where s.template_id = v_template.template_id;
  if v_template.has_paths then
    perform tasker.note_search_values(
      array[v_task_uuid], '{t}', array[v_template.template_id], array[v_context]
    );
  end if;

  if v_queue is null then
    if current_setting('tasker.announce', true) is distinct from 'off' then
      perform tasker.announce_task_state(v_namespace, 'pending', array[v_task_uuid]);
    end if;
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at, cause)
    select v_task_uuid, r.step_no, v_template.template_id, v_priority, v_now, 'task_start'
    from unnest(v_template.roots) as r(step_no);
  else
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    values (v_task_uuid, v_now, 'pending', 'in_progress', p_processor);
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    select v_task_uuid, v_now, r.step_no, 0, 'pending', 'enqueued', p_processor
    from unnest(v_template.roots) as r(step_no);
    perform tasker.announce_task_state(v_namespace, 'pending', array[v_task_uuid]);
    perform tasker.announce_task_state(v_namespace, 'in_progress', array[v_task_uuid]);
    perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
  end if;
  task_uuid := v_task_uuid;
  enqueued_in := v_queue;
end
$$;
