-- The namespaces whose queue cannot be used, and why: it is missing, its index is, or it cannot be
-- read. tasker.repair_queue makes the first two again.
create function tasker.damaged_queues()
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

-- The namespaces with steps that are enqueued or run, and whose message is not in their queue.
-- tasker.repair_queue makes them.
create function tasker.queues_without_messages()
returns table (namespace text)
language plpgsql
stable
as $$
begin
  return query
  select distinct t.namespace
  from tasker.steps s
  join tasker.templates t on t.template_id = s.template_id
  left join unnest(tasker.queued_messages()) m
    on m.task_uuid = s.task_uuid and m.msg_id = s.msg_id
  where s.msg_id is not null and m.msg_id is null;
end
$$;
