-- The highest priority of a message that a worker with these handlers could receive at once in the
-- queues of the namespaces, except those in p_msg_ids; null where there is none. What costs most
-- is to plan the statement: not worth a call where all steps have one priority.
create or replace function tasker.most_urgent_message(
  p_namespaces text[], p_handlers text[], p_msg_ids bigint[] default '{}'
)
returns int
language plpgsql
set plan_cache_mode to force_generic_plan
as $$
declare
  v_queue text;
  v_priority jsonb;
  v_most_urgent int;
begin
  for v_queue in
    select n.queue_name
    from tasker.namespaces n
    where n.namespace = any(p_namespaces)
  loop
    begin
      execute format(
        'select f.priority
        from unnest($1) as h(handler)
        cross join lateral (
          select q.message -> ''priority'' as priority from pgmq.%I q
          where (q.message ->> ''handler'') collate "C" = h.handler and q.vt <= $2
            and q.msg_id <> all($3)
          order by q.message -> ''priority'' desc, q.msg_id
          limit 1
        ) f
        order by f.priority desc
        limit 1', 'q_' || v_queue
      ) into v_priority using p_handlers, clock_timestamp(), p_msg_ids;
    exception when others then
      -- From a queue that cannot be read no worker receives anything.
      v_priority := null;
    end;
    if jsonb_typeof(v_priority) = 'number' then
      v_most_urgent := greatest(
        v_most_urgent, least(32767, greatest(-32768, v_priority::numeric))::int
      );
    end if;
  end loop;
  return v_most_urgent;
end
$$;
