-- What an operator ought to know after a restore from a backup: where is_wrong, it has to be put right
-- before the database is used, by tasker.mend_restored; else the engine deals with it by itself.
create or replace function tasker.restored_findings()
returns table (check_name text, is_wrong boolean, detail text, advice text)
language plpgsql
set jit to off
as $$
#variable_conflict use_column
declare
  c_repair constant text := 'run `tasker backup-check --repair`';
  v_is_intact boolean := exists (select from tasker.queues_intact);
  v_unlogged text[];
  v_last bigint;
  v_highest bigint;
  v_count bigint;
  v_until timestamptz;
  v_queue record;
  v_log text;
begin
  v_unlogged := array(
    select n.namespace
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    where c.relpersistence = 'u'
  );
  if not v_is_intact and v_unlogged <> '{}' then
    return query
    select 'queues_have_their_messages', false,
      'unlogged queues lost their messages, as in every base backup',
      'nothing: the first orchestrator that starts makes them again from the steps, '
        'or `tasker backup-check --repair` does so now';
  end if;
  return query
  select 'queues_have_their_messages', true,
    format('the queue of namespace %s lacks messages of steps that wait in it', q.namespace),
    c_repair
  from tasker.queues_without_messages() q
  where v_is_intact or q.namespace <> all(v_unlogged);

  for v_queue in
    select n.namespace, n.queue_name,
      pg_get_serial_sequence(format('pgmq.%I', 'q_' || n.queue_name), 'msg_id')::regclass as sequence
    from tasker.namespaces n
    where to_regclass(format('pgmq.%I', 'q_' || n.queue_name)) is not null
    order by n.namespace
  loop
    continue when not v_is_intact and v_queue.namespace = any(v_unlogged);
    execute format('select coalesce(max(msg_id), 0) from pgmq.%I', 'q_' || v_queue.queue_name)
    into v_highest;
    select greatest(v_highest, max(s.msg_id)) into v_highest
    from tasker.steps s
    join tasker.templates t on t.template_id = s.template_id
    where t.namespace = v_queue.namespace and s.msg_id is not null;
    v_last := coalesce(pg_sequence_last_value(v_queue.sequence), 0);
    if v_last < v_highest then
      return query
      select 'numbers_are_ahead_of_rows', true,
        format('message %s of namespace %s exists, but its queue gives numbers from %s on',
          v_highest, v_queue.namespace, v_last + 1),
        c_repair;
    end if;
  end loop;

  foreach v_log in array array['task_transitions', 'step_log'] loop
    execute format('select coalesce(max(transition_no), 0) from tasker.%I', v_log)
    into v_highest;
    v_last := coalesce(pg_sequence_last_value(
      pg_get_serial_sequence('tasker.' || v_log, 'transition_no')::regclass
    ), 0);
    if v_last < v_highest then
      return query
      select 'numbers_are_ahead_of_rows', true,
        format('%s has the number %s, but gives numbers from %s on', v_log, v_highest, v_last + 1),
        c_repair;
    end if;
  end loop;

  select count(*) into v_count
  from tasker.steps s
  where s.state = 'in_progress' and not tasker.process_is_alive(s.worker);
  if v_count > 0 then
    return query
    select 'leases_are_held_by_live_workers', false,
      format('%s steps are in the hands of workers that are not seen here', v_count),
      'nothing: each is tried again when its lease ends; handlers may run twice';
  end if;

  select count(*) into v_count from tasker.processes p where not tasker.is_live(p.last_seen_at);
  if v_count > 0 then
    return query
    select 'processes_are_of_this_life', false,
      format('%s processes are listed that are not seen here', v_count),
      'nothing: they are forgotten when the next process starts';
  end if;
end
$$;
