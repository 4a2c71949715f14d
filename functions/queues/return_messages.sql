-- Makes messages of a queue visible that stand for steps which were given back, and lets them say so:
-- one that was handed on says what it stood for before. Otherwise as tasker.delay_messages().
create or replace function tasker.return_messages(
  p_queue_name text, p_msg_ids bigint[], p_messages jsonb[]
)
returns text
language plpgsql
as $$
begin
  execute format(
    'update pgmq.%1$I q set vt = $3, message = r.message
    from unnest($1, $2) as r(msg_id, message)
    where q.msg_id = r.msg_id and q.msg_id = any(array(
      select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update skip locked
    ))', 'q_' || p_queue_name
  )
  using p_msg_ids, p_messages, clock_timestamp();
  return null;
exception when others then
  return sqlerrm;
end
$$;
