-- Makes messages of a queue visible in p_delay_ms as pgmq.set_vt() does, at less cost, and answers why
-- it could not, or null: then a lease that stays as it is ends earlier. Waits for none that another
-- transaction holds.
create or replace function tasker.delay_messages(
  p_queue_name text, p_msg_ids bigint[], p_delay_ms bigint
)
returns text
language plpgsql
as $$
begin
  execute format(
    'update pgmq.%1$I set vt = $2 where msg_id = any(array(
      select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update skip locked
    ))', 'q_' || p_queue_name
  )
  using p_msg_ids, clock_timestamp() + p_delay_ms * interval '1 ms';
  return null;
exception when others then
  return sqlerrm;
end
$$;
