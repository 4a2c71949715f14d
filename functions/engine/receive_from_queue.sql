-- The part of a receipt that concerns one queue: of the p_limit steps, p_aged are those that have
-- waited longest; together they are given p_bytes_left, and none more than p_max_bytes. Answers also
-- whether steps were left out that others hold, or that would be given too much together. With
-- p_guarded, answers why it could not, and looks again once messages that are not ours are archived.
create or replace function tasker.receive_from_queue(
  p_namespace text, p_worker text, p_limit int, p_aged int, p_lease_ms bigint, p_handlers text[],
  p_bytes_left bigint, p_max_bytes bigint, p_prepares boolean, p_guarded boolean,
  out tasks uuid[], out steps int[], out msgs bigint[], out came_back boolean[], out bytes bigint,
  out left_out boolean, out problem text
)
language plpgsql
as $$
declare
  -- Passes over a queue: each looks at eight times as many messages as the one before it, where
  -- others held those or their steps.
  c_passes constant int := 5;
  c_most_looked_at constant int := 20000;
  v_queue text;
  v_handlers text[] := p_handlers;
  v_left int := p_limit;
  v_bytes bigint;
  v_depth int;
  v_now timestamptz;
  v_want int;
  v_seen int;
  v_msgs bigint[];
  v_tasks uuid[];
  v_steps int[];
  v_void bigint[];
  v_held record;
  v_passed_by boolean := false;
  v_is_full boolean := false;
  v_is_strange boolean;
  v_short record;
  v_lease interval := make_interval(secs => ceil(p_lease_ms / 1000.0));
begin
  if p_guarded then
    for v_attempt in 1..2 loop
      begin
        select r.* into tasks, steps, msgs, came_back, bytes, left_out, problem
        from tasker.receive_from_queue(
          p_namespace, p_worker, p_limit, p_aged, p_lease_ms, p_handlers, p_bytes_left, p_max_bytes,
          p_prepares, false
        ) r;
        return;
      exception
        when read_only_sql_transaction then
          raise;
        when others then
          problem := sqlerrm;
          if sqlstate = '55P03' then
            -- One such wait a call is enough.
            perform set_config('lock_timeout', '10ms', true);
          end if;
          v_is_strange := sqlstate in ('22P02', '22003');
      end;
      exit when not v_is_strange or v_attempt = 2;
      begin
        perform tasker.archive_strange_messages(queue_name) from tasker.namespaces
        where namespace = p_namespace;
      exception when others then
        problem := sqlerrm;
        return;
      end;
    end loop;
    return;
  end if;

  bytes := 0;
  left_out := false;
  select queue_name into v_queue from tasker.namespaces where namespace = p_namespace;
  if not found then
    return;
  end if;
  if v_handlers is null then
    v_handlers := tasker.queued_handlers(v_queue);
  end if;

  for v_pass in case when p_aged > 0 then 0 else 1 end .. c_passes loop
    v_want := case v_pass when 0 then p_aged else v_left end;
    v_depth := case v_pass
      when 0 then 2 * p_aged
      when 1 then 2 * v_left
      else greatest(v_depth, least(8 * v_depth, c_most_looked_at))
    end;
    if p_prepares then
      -- EXECUTE takes no parameters of plpgsql.
      execute format(
        'execute %I(%L, %L, %s, %s, %L)', tasker.prepared_receipt(v_queue, v_pass = 0),
        clock_timestamp(), v_handlers, v_depth, v_want, v_lease
      ) into v_msgs, v_tasks, v_steps, v_seen;
    else
      execute tasker.receipt_statement(v_queue, v_pass = 0) into v_msgs, v_tasks, v_steps, v_seen
      using clock_timestamp(), v_handlers, v_depth, v_want, v_lease;
    end if;
    v_passed_by := v_pass > 0 and coalesce(cardinality(v_msgs), 0) < least(v_want, v_seen);

    v_bytes := null;
    if cardinality(v_msgs) = 1
      and current_setting('tasker.path_for_one', true) is distinct from 'off' then
      v_bytes := tasker.receive_one_step(
        v_queue, v_tasks[1], v_steps[1], v_msgs[1], p_worker, p_lease_ms,
        least(p_bytes_left - bytes, p_max_bytes)
      );
    end if;
    if v_bytes is not null then
      tasks := tasks || v_tasks;
      steps := steps || v_steps;
      msgs := msgs || v_msgs;
      came_back := came_back || false;
      bytes := bytes + v_bytes;
      v_left := v_left - 1;
    elsif v_msgs is not null then
      -- Read after the messages, so that no step starts before it was enqueued.
      v_now := tasker.now();
      -- A message whose step has ended may have been handed on to a dependent; one that stands for no
      -- step at all is void.
      v_void := null;
      if exists (
        select from unnest(v_msgs, v_tasks, v_steps) as m(msg_id, task_uuid, step_no)
        where not exists (
          select from tasker.steps s
          where s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
        )
      ) then
        select array_agg(o.step_no order by m.position),
          array_agg(m.msg_id) filter (where o.step_no is null)
        into v_steps, v_void
        from unnest(v_msgs, v_tasks) with ordinality as m(msg_id, task_uuid, position)
        left join lateral (
          select s.step_no from tasker.steps s
          where s.task_uuid = m.task_uuid and s.msg_id = m.msg_id
          limit 1
        ) o on true;
      end if;

      with held as materialized (
        select s.task_uuid, s.step_no, s.template_id, s.msg_id, s.state, m.position,
          case when s.input_bytes > p_max_bytes then 0 else s.input_bytes end as bytes
        from unnest(v_msgs, v_tasks, v_steps) with ordinality
          as m(msg_id, task_uuid, step_no, position)
        join tasker.steps s
          on s.task_uuid = m.task_uuid and s.step_no = m.step_no and s.msg_id = m.msg_id
        for no key update of s skip locked
      ), weighed as materialized (
        select h.*, sum(h.bytes) over (order by h.position) + receive_from_queue.bytes
            <= p_bytes_left as fits
        from held h
      ), started as (
        update tasker.steps s
        set state = 'in_progress', attempt = s.attempt + 1, receipt = s.receipt + 1,
          started_at = v_now, worker = p_worker, error = null
        from weighed h
        where s.task_uuid = h.task_uuid and s.step_no = h.step_no and h.state = 'enqueued' and h.fits
        returning s.task_uuid, s.step_no, s.attempt
      ), logged as (
        insert into tasker.step_log
          (task_uuid, at, step_no, attempt, from_state, to_state, actor)
        select task_uuid, v_now, step_no, attempt, 'enqueued', 'in_progress', p_worker
        from started
      )
      select array_agg(h.task_uuid) filter (where h.fits) as tasks,
        array_agg(h.step_no) filter (where h.fits) as steps,
        array_agg(h.msg_id) filter (where h.fits) as msgs,
        array_agg(h.state = 'in_progress') filter (where h.fits) as came_back,
        coalesce(sum(h.bytes) filter (where h.fits), 0) as bytes,
        array_agg(h.msg_id) filter (where not h.fits) as too_many,
        min(ts.timeout_ms) as shortest_timeout_ms
      into v_held
      from weighed h
      join tasker.template_steps ts on ts.template_id = h.template_id and ts.step_no = h.step_no;

      tasks := tasks || v_held.tasks;
      steps := steps || v_held.steps;
      msgs := msgs || v_held.msgs;
      came_back := came_back || v_held.came_back;
      bytes := bytes + v_held.bytes;
      v_left := v_left - coalesce(cardinality(v_held.tasks), 0);

      -- A step with a timeout shorter than the lease comes back when that is over.
      if v_held.shortest_timeout_ms + tasker.timeout_grace_ms() < p_lease_ms then
        for v_short in
          select ts.timeout_ms, array_agg(m.msg_id) as msg_ids
          from unnest(v_held.msgs, v_held.tasks, v_held.steps) as m(msg_id, task_uuid, step_no)
          join tasker.tasks t on t.task_uuid = m.task_uuid
          cross join lateral (
            select ts.timeout_ms from tasker.template_steps ts
            where ts.template_id = t.template_id and ts.step_no = m.step_no
            offset 0
          ) ts
          where ts.timeout_ms + tasker.timeout_grace_ms() < p_lease_ms
          group by ts.timeout_ms
        loop
          perform tasker.delay_messages(
            v_queue, v_short.msg_ids, v_short.timeout_ms + tasker.timeout_grace_ms()
          );
        end loop;
      end if;

      if v_void is not null then
        perform tasker.delete_messages(v_queue, v_void);
      end if;
      -- What is too much comes back at once. Where another transaction holds the step that a message
      -- was handed on to, the message comes back soon and not after a lease.
      if v_held.too_many is not null then
        perform tasker.delay_messages(v_queue, v_held.too_many, 0);
        v_is_full := true;
      end if;
      if cardinality(v_msgs) > coalesce(cardinality(v_held.msgs), 0)
        + coalesce(cardinality(v_held.too_many), 0) + coalesce(cardinality(v_void), 0) then
        perform tasker.delay_messages(
          v_queue,
          array(
            select unnest(v_msgs) except select unnest(v_held.msgs)
            except select unnest(v_held.too_many) except select unnest(v_void)
          ),
          100
        );
        left_out := true;
      end if;
    end if;
    exit when v_left <= 0 or v_is_full
      or v_pass > 0 and v_seen < v_depth and coalesce(cardinality(v_msgs), 0) < v_want;
  end loop;
  left_out := left_out or v_is_full or v_passed_by and v_left > 0;
end
$$;
