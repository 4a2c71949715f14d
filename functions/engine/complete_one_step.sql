-- What tasker.complete_steps_and_enqueue() does with sets, for one step that is complete, in statements of one row:
-- the executor spends more on preparing a statement for sets than on the rows of one step. Answers no
-- row, and has changed nothing, where the case is not the one that is met most: the task runs, the
-- outcome is current, and at most one step depends on it. The first row says what was brought about, the
-- second is the dependent, where that was started.
create or replace function tasker.complete_one_step(
  p_worker text, p_task_uuid uuid, p_step_no int, p_receipt int, p_msg_id bigint,
  p_namespace text, p_result jsonb, p_continues boolean, p_handlers text[], p_lease_ms bigint,
  p_enqueues boolean default false
)
returns table (moved tasker.moved, enqueued_steps int, started tasker.received_step)
language plpgsql
as $$
declare
  -- As in tasker.free_dependents().
  c_most_bytes constant bigint := 1024 * 1024;
  v_announces boolean := current_setting('tasker.announces_moves', true) = 'on';
  v_announce text;
  v_now timestamptz;
  v_task record;
  v_step record;
  v_done record;
  v_next record;
  v_child record;
  v_queue text;
  v_urgent int;
  v_bytes bigint;
  v_is_ready boolean := false;
  v_msgs bigint[];
  v_starts boolean := false;
  v_lease_ms bigint;
  v_end tasker.task_state;
begin
  select t.state, t.template_id, t.priority, t.active_steps, t.failed_steps, t.context into v_task
  from tasker.tasks t
  where t.task_uuid = p_task_uuid
  for no key update;
  if v_task.state is distinct from 'in_progress' then
    return;
  end if;
  v_now := tasker.now();

  select ts.name, ts.dependents, ts.timeout_ms into v_step
  from tasker.template_steps ts
  where ts.template_id = v_task.template_id and ts.step_no = p_step_no;
  if cardinality(v_step.dependents) > 1 then
    return;
  end if;

  update tasker.steps s
  set state = 'complete', result = p_result, result_bytes = pg_column_size(p_result), error = null,
    finished_at = v_now, msg_id = null
  where s.task_uuid = p_task_uuid and s.step_no = p_step_no
    and s.receipt = p_receipt and s.msg_id = p_msg_id and s.state = 'in_progress'
  returning s.attempt, s.result_bytes into v_done;
  if not found then
    return;
  end if;

  if v_step.dependents <> '{}' then
    select ts.step_no, ts.name, ts.handler, ts.depends_on, ts.timeout_ms, ts.input,
      ts.dependency_results, tp.namespace,
      tp.namespace || '/' || tp.name || '@' || tp.version as template
    into v_next
    from tasker.template_steps ts
    join tasker.templates tp on tp.template_id = ts.template_id
    where ts.template_id = v_task.template_id and ts.step_no = v_step.dependents[1];
    -- Nobody else changes it: it waits for a step whose task this transaction holds.
    select s.state, s.waiting_on, s.attempt, s.receipt, s.max_attempts, s.input_bytes into v_child
    from tasker.steps s
    where s.task_uuid = p_task_uuid and s.step_no = v_next.step_no;
    v_bytes := case v_next.dependency_results when 'inline' then v_done.result_bytes else 0 end;
    v_is_ready := v_child.waiting_on = 1 and v_child.state = 'pending';
    v_starts := v_is_ready and coalesce(p_continues, false) and v_next.handler = any(p_handlers)
      and v_child.input_bytes + v_bytes <= c_most_bytes;
    if v_starts then
      if exists (select from tasker.priorities_in_use offset 1) then
        v_urgent := tasker.most_urgent_message(array[p_namespace], p_handlers, array[p_msg_id]);
      end if;
      v_urgent := greatest(v_urgent, (
        select r.priority from tasker.ready_steps r order by r.priority desc, r.ready_no limit 1
      ));
      v_starts := coalesce(v_task.priority >= v_urgent, true);
    end if;
  end if;

  if v_starts then
    update tasker.steps s
    set waiting_on = 0, input_bytes = v_child.input_bytes + v_bytes, state = 'in_progress',
      attempt = v_child.attempt + 1, receipt = v_child.receipt + 1, msg_id = p_msg_id,
      worker = p_worker, enqueued_at = v_now, started_at = v_now
    where s.task_uuid = p_task_uuid and s.step_no = v_next.step_no;
    insert into tasker.step_log
      (task_uuid, at, step_no, attempt, from_state, to_state, actor, started_step_no,
        started_attempt)
    values (
      p_task_uuid, v_now, p_step_no, v_done.attempt, 'in_progress', 'complete', p_worker,
      v_next.step_no, v_child.attempt + 1
    );

    if least(v_step.timeout_ms, v_next.timeout_ms) + tasker.timeout_grace_ms() < p_lease_ms then
      v_lease_ms := least(v_next.timeout_ms + tasker.timeout_grace_ms(), p_lease_ms);
      select n.queue_name into v_queue from tasker.namespaces n where n.namespace = p_namespace;
      perform tasker.delay_messages(v_queue, array[p_msg_id], v_lease_ms);
    end if;

    moved := ('{}', '{}', '{}', '{}', '{}', '{}', false)::tasker.moved;
    return next;
    moved := null;
    if cardinality(v_next.depends_on) = 1 then
      -- All that tasker.describe_one_step() would read is known.
      started := (
        p_task_uuid, v_next.step_no, p_msg_id, v_next.namespace, v_next.template, v_next.name,
        v_next.handler, v_child.attempt + 1, v_child.receipt + 1, v_child.max_attempts,
        v_next.timeout_ms, v_task.priority, v_task.context, v_next.input,
        case v_next.dependency_results when 'inline' then jsonb_build_object(v_step.name, p_result) end,
        null, v_child.input_bytes + v_bytes, null
      )::tasker.received_step;
    else
      started := tasker.describe_one_step(p_task_uuid, v_next.step_no, p_msg_id);
    end if;
    return next;
    return;
  end if;

  insert into tasker.step_log (task_uuid, at, step_no, attempt, from_state, to_state, actor)
  values (p_task_uuid, v_now, p_step_no, v_done.attempt, 'in_progress', 'complete', p_worker);
  v_announce := tasker.suppress_notify();
  moved := ('{}', '{}', '{}', '{}', '{}', '{}', false)::tasker.moved;
  select n.queue_name into v_queue from tasker.namespaces n where n.namespace = p_namespace;
  if v_is_ready and p_enqueues and v_queue is not null
    and exists (select from tasker.queues_intact) then
    v_msgs := tasker.send_messages(
      v_queue,
      array[tasker.step_message(p_task_uuid, v_next.step_no, v_next.handler, v_task.priority)]
    );
  end if;
  if v_next is not null then
    update tasker.steps s
    set waiting_on = s.waiting_on - 1, input_bytes = s.input_bytes + v_bytes,
      state = case when v_msgs is null then s.state else 'enqueued' end,
      msg_id = coalesce(v_msgs[1], s.msg_id),
      enqueued_at = case when v_msgs is null then s.enqueued_at else v_now end
    where s.task_uuid = p_task_uuid and s.step_no = v_next.step_no;
  end if;
  if v_msgs is not null then
    insert into tasker.step_log (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    values (p_task_uuid, v_now, v_next.step_no, v_child.attempt, 'pending', 'enqueued', p_worker);
    moved.woken_queues := array[v_queue];
    enqueued_steps := 1;
    if v_announces then
      perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
    end if;
  elsif v_is_ready then
    insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
    values (p_task_uuid, v_next.step_no, v_task.template_id, v_task.priority, v_now);
    moved.ready_tasks := array[p_task_uuid];
    if v_announces then
      perform pg_notify(c.channel, p.payload)
      from (
        select tasker.readiness_payload(
          p_task_uuid, p_namespace, v_task.priority, 1, 'step_transition',
          tasker.step_uuid(p_task_uuid, p_step_no), 'complete', 'in_progress'
        ) as payload
      ) p
      cross join lateral (values
        (tasker.channel('task_ready')), (tasker.channel('task_ready', p_namespace))
      ) as c(channel);
    end if;
  elsif v_task.active_steps > 1 then
    update tasker.tasks t set active_steps = t.active_steps - 1 where t.task_uuid = p_task_uuid;
  else
    v_end := case when v_task.failed_steps > 0 then 'error' else 'complete' end;
    update tasker.tasks t set active_steps = 0, finished_at = v_now, state = v_end
    where t.task_uuid = p_task_uuid;
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    values (p_task_uuid, v_now, 'in_progress', v_end, p_worker);
    moved.finished_tasks := array[p_task_uuid];
    if v_announces then
      perform tasker.announce_task_state(p_namespace, v_end, array[p_task_uuid]);
    end if;
  end if;
  if v_queue is not null then
    perform tasker.delete_messages(v_queue, array[p_msg_id], false);
  end if;
  perform set_config('tasker.announce', v_announce, true);
  return next;
end
$$;
