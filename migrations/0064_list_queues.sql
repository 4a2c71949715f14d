-- The queue of every namespace and what lies in it. refusals counts how often steps in the queue
-- were refused by workers that do not know their handler.
create function tasker.list_queues()
returns table (
  namespace text, queue_name text, length bigint, visible bigint,
  oldest_message_age_seconds double precision, refusals bigint
)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
  for namespace, queue_name in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    return query execute format(
      'select %L::text, %L::text, count(*), count(*) filter (where q.vt <= clock_timestamp()),
        extract(epoch from clock_timestamp() - min(q.enqueued_at))::double precision,
        coalesce(sum(s.refusals), 0)::bigint
      from pgmq.%I q
      left join tasker.steps s
        on s.task_uuid = (q.message ->> ''task_uuid'')::uuid
        and s.step_no = (q.message ->> ''step_no'')::int',
      namespace, queue_name, 'q_' || queue_name
    );
  end loop;
end
$$;
