-- Whether new queues are unlogged. Messages stand for steps and can be made again from them, so a
-- queue need not survive a crash of the server: unlogged it costs no WAL, and is refilled after one.
create table tasker.queue_settings (
  unlogged boolean not null default false,
  only_one boolean primary key default true,

  constraint there_is_one_row check (only_one)
);

insert into tasker.queue_settings default values;

-- Has its row from the last refill to the next crash, which empties it as it empties the queues.
create unlogged table tasker.queues_intact (
  since timestamptz not null
);

insert into tasker.queues_intact values (clock_timestamp());

-- Makes the queues of all namespaces, present and future, unlogged or logged. Each that differs is
-- rewritten, and waits for those who use it. Answers how many did.
--
-- What a crash took is put back first: a queue that has become logged is not refilled any more.
create function tasker.use_unlogged_queues(p_unlogged boolean)
returns int
language plpgsql
as $$
declare
  v_queue text;
  v_changed int := 0;
begin
  perform tasker.refill_queues();
  update tasker.queue_settings set unlogged = p_unlogged where unlogged <> p_unlogged;
  for v_queue in
    select 'q_' || n.queue_name
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where (c.relpersistence = 'u') <> p_unlogged
    order by 1
  loop
    execute format(
      'alter table pgmq.%I set %s', v_queue, case when p_unlogged then 'unlogged' else 'logged' end
    );
    v_changed := v_changed + 1;
  end loop;
  return v_changed;
end
$$;

-- Makes the messages that are missing in a queue of a namespace: one for each step that is enqueued,
-- and one for each that a worker holds, which comes back after p_lease_ms unless that worker extends
-- its lease. Wakes the workers, and answers how many messages it made.
create function tasker.refill_queue(p_namespace text, p_lease_ms int)
returns int
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to on
set jit to off
as $$
declare
  v_queue text := (select queue_name from tasker.namespaces where namespace = p_namespace);
  v_tasks uuid[];
  v_priorities int[];
  v_made int;
begin
  -- Steps move under the lock of their task, so none ends between the look at it and its message.
  select array_agg(a.task_uuid), array_agg(a.priority) into v_tasks, v_priorities
  from (
    select t.task_uuid, t.priority
    from tasker.tasks t
    where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
      and t.template_id = any(array(
        select template_id from tasker.templates where namespace = p_namespace
      ))
    order by t.task_uuid
    for no key update
  ) a;
  execute format(
    'insert into pgmq.%I (msg_id, vt, message) overriding system value
    select s.msg_id,
      clock_timestamp() + case s.state when ''in_progress'' then $3 else 0 end * interval ''1 ms'',
      tasker.step_message(s.task_uuid, s.step_no, ts.handler, w.priority)
    from unnest($1, $2) as w(task_uuid, priority)
    cross join lateral (
      select * from tasker.steps s
      where s.task_uuid = w.task_uuid and s.msg_id is not null
      offset 0
    ) s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    order by s.enqueued_at
    on conflict do nothing', 'q_' || v_queue
  ) using v_tasks, v_priorities, p_lease_ms;
  get diagnostics v_made = row_count;
  -- A new sequence, as one has that was unlogged, begins at 1.
  execute format(
    'select setval(pg_get_serial_sequence(%1$L, ''msg_id''), greatest(
      (select max(msg_id) from pgmq.%2$I), nextval(pg_get_serial_sequence(%1$L, ''msg_id''))
    ))', format('pgmq.%I', 'q_' || v_queue), 'q_' || v_queue
  );
  perform pg_notify('pgmq.q_' || v_queue || '.INSERT', '');
  return v_made;
end
$$;

-- Makes the queue of a namespace again, or what is missing of it, and the messages that it lacks.
-- Answers how many it made.
create function tasker.repair_queue(p_namespace text)
returns int
language plpgsql
as $$
begin
  perform tasker.create_queue(queue_name) from tasker.namespaces where namespace = p_namespace;
  return tasker.refill_queue(p_namespace, 30000);
end
$$;

-- Puts back what a crash of the server took from unlogged queues, and answers how many messages it
-- made. Does nothing where that was done since the last crash. Nothing may be enqueued before,
-- because the queues have lost count of their messages.
create function tasker.refill_queues(p_lease_ms int default 30000)
returns int
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to on
set jit to off
as $$
declare
  v_emptied text[];
  v_namespace text;
  v_all int := 0;
begin
  perform pg_advisory_xact_lock(hashtext('tasker.refill_queues'));
  if exists (select from tasker.queues_intact) then
    return 0;
  end if;

  v_emptied := array(
    select n.namespace
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where c.relpersistence = 'u'
    order by n.namespace
  );
  -- The tasks of all queues, in the one order of locks.
  perform 1
  from tasker.tasks t
  where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
    and t.template_id = any(array(
      select template_id from tasker.templates where namespace = any(v_emptied)
    ))
  order by t.task_uuid
  for no key update;
  foreach v_namespace in array v_emptied loop
    begin
      v_all := v_all + tasker.refill_queue(v_namespace, p_lease_ms);
    exception
      when lock_not_available then
        -- It can be refilled later, and nothing may be enqueued before.
        raise;
      when others then
        raise warning 'the queue of namespace % could not be refilled: %', v_namespace, sqlerrm;
    end;
  end loop;
  insert into tasker.queues_intact values (clock_timestamp());
  return v_all;
end
$$;
