-- The namespaces whose queue cannot be used, and why: it is missing, its index is, or it cannot be
-- read. tasker.repair_queue makes the first two again.
create or replace function tasker.damaged_queues()
returns table (namespace text, problem text)
language plpgsql
as $$
#variable_conflict use_column
declare
  v_queue text;
begin
  for namespace, v_queue in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    problem := null;
    begin
      execute format('select from pgmq.%I limit 1', 'q_' || v_queue);
      if not tasker.has_handler_index(v_queue) then
        problem := format('the index by handler of the queue %s is missing', v_queue);
      end if;
    exception when others then
      problem := format('the queue %s cannot be read: %s', v_queue, sqlerrm);
    end;
    if problem is not null then
      return next;
    end if;
  end loop;
end
$$;
