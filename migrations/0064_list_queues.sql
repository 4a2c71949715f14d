-- The queue of every namespace and what lies in it. problem tells why a queue cannot be read.
-- Volatile, so that it sees a queue that was rewritten while it waited for it.
create function tasker.list_queues()
returns table (
  namespace text, queue_name text, length bigint, visible bigint,
  oldest_message_age_seconds double precision, problem text
)
language plpgsql
as $$
#variable_conflict use_column
begin
  for namespace, queue_name in
    select n.namespace, n.queue_name from tasker.namespaces n order by n.namespace
  loop
    begin
      return query execute format(
        'select %L::text, %L::text, count(*), count(*) filter (where q.vt <= clock_timestamp()),
          extract(epoch from clock_timestamp() - min(q.enqueued_at))::double precision, null::text
        from pgmq.%I q',
        namespace, queue_name, 'q_' || queue_name
      );
    exception when others then
      return query select namespace, queue_name, 0::bigint, 0::bigint, null::double precision, sqlerrm;
    end;
  end loop;
end
$$;
