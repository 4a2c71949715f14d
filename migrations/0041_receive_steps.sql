-- The statement that takes messages of a queue for a receipt. Parameters: the time, the handlers, how
-- many messages to look at, how many to take, the lease.
--
-- The most urgent come first, then the oldest; with p_aged those that have waited longest, of the 64
-- least urgent priorities. As pgmq.read() does it, last_read_at aside, which older versions lack. Rows
-- are chosen before they are locked, so that those which other receipts hold are passed over; so are
-- those whose step another transaction holds.
--
-- Both begin with a handler and its priorities: a planner that may read messages by their numbers
-- alone, as where the priority is said to be equal, reads those of all other handlers on the way.
create function tasker.receipt_statement(p_queue_name text, p_aged boolean)
returns text
language plpgsql
immutable
as $$
begin
  return format(
    'with candidate as materialized (%2$s), first as materialized (
      select l.row_id
      from candidate c
      cross join lateral (
        select q.ctid as row_id, q.msg_id, q.message from pgmq.%1$I q
        where q.ctid = c.row_id and q.vt <= $1
        for update skip locked
      ) l
      left join lateral (
        select true as is_locked from tasker.steps s
        where s.task_uuid = (l.message ->> ''task_uuid'')::uuid
          and s.step_no = (l.message ->> ''step_no'')::int and s.msg_id = l.msg_id
        for no key update skip locked
      ) s on true
      where s.is_locked or not exists (
        select from tasker.steps s
        where s.task_uuid = (l.message ->> ''task_uuid'')::uuid
          and s.step_no = (l.message ->> ''step_no'')::int and s.msg_id = l.msg_id
      )
      limit $4
    ), read as (
      update pgmq.%1$I q set vt = $1 + $5, read_ct = q.read_ct + 1
      where q.ctid = any(array(select f.row_id from first f))
      returning q.msg_id, q.message
    )
    select array_agg(m.msg_id), array_agg((m.message ->> ''task_uuid'')::uuid),
      array_agg((m.message ->> ''step_no'')::int), (select count(*) from candidate)
    from (select * from read r order by r.message -> ''priority'' desc, r.msg_id) m',
    'q_' || p_queue_name,
    format(
      case when p_aged then
        'with recursive level as (
          select h.handler, (
            select q.message -> ''priority'' from pgmq.%1$I q
            where (q.message ->> ''handler'') collate "C" = h.handler
            order by q.message -> ''priority''
            limit 1
          ) as priority, 1 as levels
          from unnest($2) as h(handler)
          union all
          select l.handler, (
            select q.message -> ''priority'' from pgmq.%1$I q
            where (q.message ->> ''handler'') collate "C" = l.handler
              and q.message -> ''priority'' > l.priority
            order by q.message -> ''priority''
            limit 1
          ), l.levels + 1
          from level l
          where l.priority is not null and l.levels < 64
        )
        select o.row_id
        from level l
        cross join lateral (
          select q.ctid as row_id, q.msg_id from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = l.handler
            and q.message -> ''priority'' between l.priority and l.priority and q.vt <= $1
          order by q.message -> ''priority'' desc, q.msg_id
          limit $3
        ) o
        order by o.msg_id
        limit $3'
      else
        'select c.row_id
        from unnest($2) as h(handler)
        cross join lateral (
          select q.ctid as row_id, q.message -> ''priority'' as priority, q.msg_id
          from pgmq.%1$I q
          where (q.message ->> ''handler'') collate "C" = h.handler and q.vt <= $1
          order by q.message -> ''priority'' desc, q.msg_id
          limit $3
        ) c
        order by c.priority desc, c.msg_id
        limit $3'
      end, 'q_' || p_queue_name
    )
  );
end
$$;

-- Prepares the same statement in this session, where it is not yet, and answers its name. To plan it
-- costs several times what its execution does. For few queues: a session keeps each plan.
create function tasker.prepared_receipt(p_queue_name text, p_aged boolean)
returns text
language plpgsql
as $$
declare
  v_statement text := tasker.receipt_statement(p_queue_name, p_aged);
  -- By its content: another version of this schema has another statement.
  v_name text := 'receipt_' || hashtextextended(v_statement, 0);
begin
  if not exists (select from pg_prepared_statements where name = v_name) then
    execute format(
      'prepare %I (timestamptz, text[], int, int, interval) as %s', v_name, v_statement
    );
  end if;
  return v_name;
end
$$;

-- Receives up to p_limit steps that one of the handlers can run from the queues of the namespaces, in
-- that order, and starts an attempt of each under a lease. In a queue the most urgent step comes
-- first, then the oldest; where there are several priorities, one place in ten goes to the step that
-- has waited longest, of the 64 least urgent ones. p_handlers is null for any handler.
--
-- Together the steps are given at most p_max_bytes; a step that would be given more by itself comes
-- without it and with a problem. Messages that stand for no step any more are deleted, foreign
-- ones are archived.
--
-- Never waits for a step that another transaction holds. Where steps were left out for that, or because
-- of p_max_bytes, a row without a step names the namespace. With p_guarded, so it does for a queue that
-- is missing, damaged or locked, with the problem, and other queues are received from all the same. Not
-- durable by itself: where a crash of the server undoes it, the attempt's outcome is stale until the
-- message is received again.
create function tasker.receive_steps(
  p_namespaces text[], p_worker text, p_limit int, p_lease_ms bigint,
  p_handlers text[] default null, p_max_bytes bigint default 67108864,
  p_guarded boolean default true
)
returns setof tasker.received_step
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to off
set jit to off
as $$
declare
  -- The plans of so many queues are some megabytes of a session.
  c_prepared_queues constant int := 32;
  v_namespace text;
  v_left int := p_limit;
  v_bytes_left bigint := p_max_bytes;
  v_aged int := 0;
  v_received record;
  v_notice tasker.received_step;
begin
  perform set_config('synchronous_commit', 'off', true);
  if exists (select from tasker.priorities_in_use offset 1) then
    v_aged := floor(p_limit / 10.0 + random());
  end if;

  foreach v_namespace in array p_namespaces loop
    -- Not at the bound of bytes either: what has to wait for that is to be named.
    exit when v_left <= 0;
    v_received := tasker.receive_from_queue(
      v_namespace, p_worker, v_left, least(v_aged, v_left), p_lease_ms, p_handlers, v_bytes_left,
      p_max_bytes, cardinality(p_namespaces) <= c_prepared_queues, p_guarded
    );
    if v_received.left_out or v_received.problem is not null then
      v_notice.namespace := v_namespace;
      v_notice.problem := v_received.problem;
      return next v_notice;
    end if;
    continue when v_received.tasks is null;
    v_left := v_left - cardinality(v_received.tasks);
    v_bytes_left := v_bytes_left - v_received.bytes;
    return query
    select * from tasker.describe_steps(
      v_received.tasks, v_received.steps, v_received.msgs, v_received.came_back, p_max_bytes
    );
  end loop;
end
$$;

-- The part of a receipt that concerns one queue: of the p_limit steps, p_aged are those that have
-- waited longest; together they are given p_bytes_left, and none more than p_max_bytes. Answers also
-- whether steps were left out that others hold, or that would be given too much together. With
-- p_guarded, answers why it could not, and looks again once messages that are not ours are archived.
create function tasker.receive_from_queue(
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

    if v_msgs is not null then
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
        insert into tasker.step_transitions
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
