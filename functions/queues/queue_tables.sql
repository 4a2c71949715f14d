-- The tables whose rows come and go: what is ready, what waits for its time, what is queued.
create or replace function tasker.queue_tables()
returns regclass[]
language plpgsql
stable
as $$
begin
  return '{tasker.ready_steps, tasker.timers}'::regclass[] || array(
    select c.oid::regclass
    from tasker.namespaces n
    join pg_class c on c.oid = to_regclass(format('pgmq.%I', 'q_' || n.queue_name))
    order by n.queue_name
  );
end
$$;
