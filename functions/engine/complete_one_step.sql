-- Records the outcome of one attempt, as tasker.complete_steps_and_enqueue() does with sets: where the step is
-- complete, its outcome is current, its task runs, and at most one step depends on it, in statements of one
-- row, because the executor spends more on preparing a statement for sets than on the rows of one step. All
-- else goes that way. Where one row says it all, it has both what was brought about and the step that was
-- started.
--
-- With p_announces, what it brings about is announced in the same transaction: for a worker that has
-- nothing else to report. A commit that notifies holds up all others that do until it is flushed, so who
-- reports much announces afterwards.
create or replace function tasker.complete_one_step(
  p_worker text, p_task_uuid uuid, p_step_no int, p_receipt int, p_msg_id bigint,
  p_namespace text, p_outcome text, p_payload jsonb, p_delay_ms bigint,
  p_continue boolean default null, p_handlers text[] default null, p_lease_ms bigint default null,
  p_enqueues boolean default true, p_room int default 0, p_announces boolean default false
)
returns table (
  stale int[], locked int[], ready_tasks uuid[], finished_tasks uuid[], cancelled_tasks uuid[],
  woken_queues text[], timer_set boolean, enqueued_steps int,
  task_uuid uuid, step_no int, msg_id bigint, namespace text, template text, step_name text,
  handler text, attempt int, receipt int, max_attempts int, timeout_ms int, priority int,
  context jsonb, input jsonb, dependency_results jsonb, expired text, input_bytes bigint,
  problem text
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
  -- As in tasker.free_dependents().
  c_most_bytes constant bigint := 1024 * 1024;
  v_now timestamptz;
  -- The task, the template's words on the step, and on the only one that depends on it.
  v_task record;
  v_done record;
  v_child record;
  v_next record;
  v_announce text;
  v_queue text;
  v_bytes bigint;
  v_urgent int;
  v_is_ready boolean := false;
  v_attempt int;
  v_msgs bigint[];
  v_end tasker.task_state;
begin
  <<short>>
  begin
    exit short when p_outcome is distinct from 'complete'
      or current_setting('tasker.path_for_one', true) is not distinct from 'off';
    select t.state, t.template_id, t.priority, t.active_steps, t.failed_steps, t.context,
      ts.name, ts.dependents, ts.timeout_ms, d.step_no as next_no, d.name as next_name,
      d.handler as next_handler, cardinality(d.depends_on) as next_waits_for,
      d.timeout_ms as next_timeout_ms, d.input as next_input,
      d.dependency_results = 'inline' as next_is_given,
      tp.namespace, tp.namespace || '/' || tp.name || '@' || tp.version as template
    into v_task
    from tasker.tasks t
    join tasker.templates tp on tp.template_id = t.template_id
    join tasker.template_steps ts on ts.template_id = t.template_id and ts.step_no = p_step_no
    left join tasker.template_steps d
      on d.template_id = t.template_id and d.step_no = ts.dependents[1]
    where t.task_uuid = p_task_uuid
    for no key update of t;
    exit short when v_task.state is distinct from 'in_progress'
      or cardinality(v_task.dependents) > 1;
    v_now := tasker.now();

    update tasker.steps s
    set state = 'complete', result = p_payload, result_bytes = pg_column_size(p_payload), error = null,
      finished_at = v_now, msg_id = null
    where s.task_uuid = p_task_uuid and s.step_no = p_step_no
      and s.receipt = p_receipt and s.msg_id = p_msg_id and s.state = 'in_progress'
    returning s.attempt, s.result_bytes into v_done;
    exit short when not found;

    stale := '{}';
    locked := '{}';
    ready_tasks := '{}';
    finished_tasks := '{}';
    cancelled_tasks := '{}';
    woken_queues := '{}';
    timer_set := false;
    enqueued_steps := 0;
    v_bytes := case when v_task.next_is_given then v_done.result_bytes else 0 end;

    if p_continue and v_task.next_handler = any(p_handlers) then
      v_urgent := (
        select greatest(
          case when exists (select from tasker.priorities_in_use offset 1) then
            tasker.most_urgent_message(array[p_namespace], p_handlers, array[p_msg_id])
          end,
          (select r.priority from tasker.ready_steps r order by r.priority desc, r.ready_no limit 1)
        )
      );
      if v_urgent is null or v_task.priority >= v_urgent then
        update tasker.steps s
        set waiting_on = 0, input_bytes = s.input_bytes + v_bytes, state = 'in_progress',
          attempt = s.attempt + 1, receipt = s.receipt + 1, msg_id = p_msg_id, worker = p_worker,
          enqueued_at = v_now, started_at = v_now
        where s.task_uuid = p_task_uuid and s.step_no = v_task.next_no
          and s.waiting_on = 1 and s.state = 'pending' and s.input_bytes + v_bytes <= c_most_bytes
        returning s.attempt, s.receipt, s.max_attempts, s.input_bytes into v_child;
        if found then
          insert into tasker.step_log
            (task_uuid, at, step_no, attempt, from_state, to_state, actor, started_step_no,
              started_attempt)
          values (
            p_task_uuid, v_now, p_step_no, v_done.attempt, 'in_progress', 'complete', p_worker,
            v_task.next_no, v_child.attempt
          );
          if least(v_task.timeout_ms, v_task.next_timeout_ms) + tasker.timeout_grace_ms()
            < p_lease_ms
          then
            select n.queue_name into v_queue from tasker.namespaces n where n.namespace = p_namespace;
            perform tasker.delay_messages(
              v_queue, array[p_msg_id],
              least(v_task.next_timeout_ms + tasker.timeout_grace_ms(), p_lease_ms)
            );
          end if;
          if v_task.next_waits_for > 1 then
            select d.* into v_next from tasker.describe_one_step(p_task_uuid, v_task.next_no, p_msg_id) d;
            dependency_results := v_next.dependency_results;
          elsif v_task.next_is_given then
            dependency_results := jsonb_build_object(v_task.name, p_payload);
          end if;
          task_uuid := p_task_uuid;
          step_no := v_task.next_no;
          msg_id := p_msg_id;
          namespace := v_task.namespace;
          template := v_task.template;
          step_name := v_task.next_name;
          handler := v_task.next_handler;
          attempt := v_child.attempt;
          receipt := v_child.receipt;
          max_attempts := v_child.max_attempts;
          timeout_ms := v_task.next_timeout_ms;
          priority := v_task.priority;
          context := v_task.context;
          input := v_task.next_input;
          input_bytes := v_child.input_bytes;
          return next;
          return;
        end if;
      end if;
    end if;

    insert into tasker.step_log (task_uuid, at, step_no, attempt, from_state, to_state, actor)
    values (p_task_uuid, v_now, p_step_no, v_done.attempt, 'in_progress', 'complete', p_worker);
    v_announce := tasker.suppress_notify();
    select n.queue_name into v_queue from tasker.namespaces n where n.namespace = p_namespace;
    if v_task.next_no is not null then
      -- Nobody else changes it: it waits for a step whose task this transaction holds.
      select s.waiting_on = 1 and s.state = 'pending', s.attempt into v_is_ready, v_attempt
      from tasker.steps s
      where s.task_uuid = p_task_uuid and s.step_no = v_task.next_no;
      if v_is_ready and p_enqueues and v_queue is not null
        and exists (select from tasker.queues_intact) then
        v_msgs := tasker.send_messages(
          v_queue,
          array[
            tasker.step_message(p_task_uuid, v_task.next_no, v_task.next_handler, v_task.priority)
          ]
        );
      end if;
      update tasker.steps s
      set waiting_on = s.waiting_on - 1, input_bytes = s.input_bytes + v_bytes,
        state = case when v_msgs is null then s.state else 'enqueued' end,
        msg_id = coalesce(v_msgs[1], s.msg_id),
        enqueued_at = case when v_msgs is null then s.enqueued_at else v_now end
      where s.task_uuid = p_task_uuid and s.step_no = v_task.next_no;
    end if;
    if v_msgs is not null then
      insert into tasker.step_log (task_uuid, at, step_no, attempt, from_state, to_state, actor)
      values (
        p_task_uuid, v_now, v_task.next_no, v_attempt, 'pending', 'enqueued', p_worker
      );
      woken_queues := array[v_queue];
      enqueued_steps := 1;
      if p_announces then
        perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
      end if;
    elsif v_is_ready then
      insert into tasker.ready_steps (task_uuid, step_no, template_id, priority, ready_at)
      values (p_task_uuid, v_task.next_no, v_task.template_id, v_task.priority, v_now);
      ready_tasks := array[p_task_uuid];
      if p_announces then
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
      finished_tasks := array[p_task_uuid];
      if p_announces then
        perform tasker.announce_task_state(p_namespace, v_end, finished_tasks);
      end if;
    end if;
    if v_queue is not null then
      perform tasker.delete_messages(v_queue, array[p_msg_id], false);
    end if;
    perform set_config('tasker.announce', v_announce, true);
    return next;
    return;
  end;

  return query
  select c.*
  from tasker.complete_steps_and_enqueue(
    p_worker, array[p_task_uuid], array[p_step_no], array[p_receipt], array[p_msg_id],
    array[p_namespace], array[p_outcome], array[p_payload], array[p_delay_ms],
    array[p_continue], p_handlers, p_lease_ms, false, p_enqueues, p_room, p_announces
  ) c;
end
$$;
