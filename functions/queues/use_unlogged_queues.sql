-- Makes the queues of all namespaces, present and future, unlogged or logged. Each that differs is
-- rewritten, and waits for those who use it. Answers how many did.
--
-- What a crash took is put back first: a queue that has become logged is not refilled any more.
create or replace function tasker.use_unlogged_queues(p_unlogged boolean)
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
