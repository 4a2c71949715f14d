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
create function tasker.use_unlogged_queues(p_unlogged boolean)
returns int
language plpgsql
as $$
declare
  v_queue text;
  v_changed int := 0;
begin
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

-- Puts back what a crash of the server took from unlogged queues: a message for each step that is
-- enqueued, and for each that a worker holds, which comes back after p_lease_ms unless that worker
-- extends its lease. Wakes the workers, and answers how many messages it made. Does nothing where
-- that was done since the last crash. Nothing may be enqueued before, because the queues have lost
-- count of their messages.
create function tasker.refill_queues(p_lease_ms int default 30000)
returns int
language plpgsql
as $$
declare
  v_tasks uuid[];
  v_queue record;
  v_made int;
  v_all int := 0;
begin
  perform pg_advisory_xact_lock(hashtext('tasker.refill_queues'));
  if exists (select from tasker.queues_intact) then
    return 0;
  end if;

  -- Steps move under the lock of their task, so none ends between the look at it and its message.
  v_tasks := array(
    select t.task_uuid
    from tasker.tasks t
    where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
    order by t.task_uuid
    for no key update
  );
  for v_queue in
    select n.namespace, 'q_' || n.queue_name as name, n.queue_name
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where c.relpersistence = 'u'
    order by n.queue_name
  loop
    execute format(
      'insert into pgmq.%I (msg_id, vt, message) overriding system value
      select s.msg_id,
        clock_timestamp()
          + case s.state when ''in_progress'' then $2 else 0 end * interval ''1 ms'',
        jsonb_build_object(''task_uuid'', s.task_uuid, ''step_no'', s.step_no)
      from unnest($1) as w(task_uuid)
      join tasker.steps s on s.task_uuid = w.task_uuid
      join tasker.templates t on t.template_id = s.template_id
      where s.msg_id is not null and t.namespace = $3
      order by s.enqueued_at
      on conflict do nothing', v_queue.name
    ) using v_tasks, p_lease_ms, v_queue.namespace;
    get diagnostics v_made = row_count;
    v_all := v_all + v_made;
    -- An unlogged sequence has begun anew.
    execute format(
      'select setval(pg_get_serial_sequence(%1$L, ''msg_id''), greatest(
        (select max(msg_id) from pgmq.%2$I), nextval(pg_get_serial_sequence(%1$L, ''msg_id''))
      ))', format('pgmq.%I', v_queue.name), v_queue.name
    );
    perform pg_notify('pgmq.' || v_queue.name || '.INSERT', '');
  end loop;
  insert into tasker.queues_intact values (clock_timestamp());
  return v_all;
end
$$;
