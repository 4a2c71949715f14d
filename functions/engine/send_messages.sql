-- Puts messages into a queue and answers their numbers, in the order of the messages. As
-- pgmq.send_batch() does it, at half the cost. A message with an element in p_leases_ms is under a lease
-- of this length from the start, as if it had been received.
create or replace function tasker.send_messages(
  p_queue_name text, p_messages jsonb[], p_leases_ms bigint[] default null
)
returns bigint[]
language plpgsql
as $$
declare
  v_msgs bigint[];
begin
  if cardinality(p_messages) = 1 then
    -- To plan it takes a third of what the statement for several takes.
    execute format(
      'insert into pgmq.%I (vt, read_ct, message) values ($1, $2, $3) returning array[msg_id]',
      'q_' || p_queue_name
    ) into v_msgs
    using clock_timestamp() + coalesce(p_leases_ms[1], 0) * interval '1 ms',
      (p_leases_ms[1] is not null)::int, p_messages[1];
    return v_msgs;
  end if;
  if p_leases_ms is not null then
    execute format(
      'with sent as (
        insert into pgmq.%I (vt, read_ct, message)
        select $1 + coalesce(m.lease_ms, 0) * interval ''1 ms'', (m.lease_ms is not null)::int,
          m.message
        from unnest($2, $3) as m(message, lease_ms)
        returning msg_id
      )
      select array_agg(s.msg_id) from sent s', 'q_' || p_queue_name
    ) into v_msgs using clock_timestamp(), p_messages, p_leases_ms;
    return v_msgs;
  end if;
  execute format(
    'with sent as (
      insert into pgmq.%I (vt, message) select $1, unnest($2) returning msg_id
    )
    select array_agg(s.msg_id) from sent s', 'q_' || p_queue_name
  ) into v_msgs using clock_timestamp(), p_messages;
  return v_msgs;
end
$$;
