-- Puts back what a crash of the server took from unlogged queues, and answers how many messages it
-- made. Does nothing where that was done since the last crash. Nothing may be enqueued before,
-- because the queues have lost count of their messages.
--
-- A queue that cannot be refilled gets its count back at least, so that its namespace goes on, and is
-- left to tasker.refill_one_queue().
create or replace function tasker.refill_queues(p_lease_ms int default 30000)
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
