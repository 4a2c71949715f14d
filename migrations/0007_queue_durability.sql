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

-- Queues whose refill failed, and when it is tried again. After a crash all are refilled anyway.
create unlogged table tasker.queues_to_refill (
  namespace text primary key references tasker.namespaces on delete cascade,
  retry_at timestamptz not null
);

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

-- Has the messages that a queue gets from now on numbered above those of all steps in flight: a new
-- sequence, as one has that was unlogged, begins at 1. Stays done where the transaction is undone.
create function tasker.pass_used_numbers(p_namespace text)
returns void
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set enable_sort to on
set jit to off
as $$
declare
  v_sequence regclass;
  v_highest bigint;
begin
  select pg_get_serial_sequence(format('pgmq.%I', 'q_' || queue_name), 'msg_id') into v_sequence
  from tasker.namespaces where namespace = p_namespace;
  select max(s.msg_id) into v_highest
  from tasker.tasks t
  cross join lateral (
    select s.msg_id from tasker.steps s
    where s.task_uuid = t.task_uuid and s.msg_id is not null
    offset 0
  ) s
  where t.listed_as in ('in_progress', 'cancelled') and t.active_steps > 0
    and t.template_id = any(array(
      select template_id from tasker.templates where namespace = p_namespace
    ));
  if v_highest > nextval(v_sequence) then
    perform setval(v_sequence, v_highest);
  end if;
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
  delete from tasker.queues_to_refill where namespace = p_namespace;
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
  perform tasker.pass_used_numbers(p_namespace);
  return tasker.refill_queue(p_namespace, 30000);
end
$$;

-- Puts back what a crash of the server took from unlogged queues, and answers how many messages it
-- made. Does nothing where that was done since the last crash. Nothing may be enqueued before,
-- because the queues have lost count of their messages.
--
-- A queue that cannot be refilled gets its count back at least, so that its namespace goes on, and is
-- left to tasker.refill_one_queue().
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
  v_is_numbered boolean;
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
    v_is_numbered := false;
    begin
      perform tasker.pass_used_numbers(v_namespace);
      v_is_numbered := true;
      v_all := v_all + tasker.refill_queue(v_namespace, p_lease_ms);
    exception when others then
      -- Class 42 is a queue that is missing, altered or not ours: nothing can be enqueued there.
      if not v_is_numbered and sqlstate not like '42%' then
        raise;
      end if;
      perform tasker.refill_later(v_namespace, sqlerrm);
    end;
  end loop;
  insert into tasker.queues_intact values (clock_timestamp());
  return v_all;
end
$$;

-- Notes that a queue could not be refilled.
create function tasker.refill_later(p_namespace text, p_problem text)
returns void
language plpgsql
as $$
begin
  raise warning 'the queue of namespace % could not be refilled: %', p_namespace, p_problem;
  insert into tasker.queues_to_refill (namespace, retry_at)
  values (p_namespace, tasker.now() + interval '10 s')
  on conflict (namespace) do update set retry_at = excluded.retry_at;
end
$$;

-- Refills one of the queues whose time has come to try it again; others have their turn later, because
-- the tasks of several are locked in one order.
create function tasker.refill_one_queue(p_lease_ms int default 30000)
returns void
language plpgsql
as $$
declare
  v_namespace text;
begin
  select namespace into v_namespace
  from tasker.queues_to_refill
  where retry_at <= tasker.now()
  order by retry_at
  limit 1
  for update skip locked;
  if not found then
    return;
  end if;
  begin
    perform tasker.pass_used_numbers(v_namespace);
    perform tasker.refill_queue(v_namespace, p_lease_ms);
  exception when others then
    perform tasker.refill_later(v_namespace, sqlerrm);
  end;
end
$$;
