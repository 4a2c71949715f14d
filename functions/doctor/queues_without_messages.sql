-- The namespaces with steps that are enqueued or run, and whose message is not in their queue.
-- tasker.repair_queue makes them.
create or replace function tasker.queues_without_messages()
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
