-- Makes messages of a queue visible that stand for steps which were given back, and lets them say so:
-- one that was handed on says what it stood for before. Answers why it could not, or null: then leases
-- end when they would have.
--
-- Waits for messages that others hold, for a second: a receipt that chose a message before its lease
-- was set locks it, sees the lease, and keeps the lock until it ends. A message that somebody keeps for
-- longer is left out.
create or replace function tasker.return_messages(
  p_queue_name text, p_msg_ids bigint[], p_messages jsonb[]
)
returns text
language plpgsql
set lock_timeout to '1s'
as $$
declare
  v_where_locked text;
  v_problem text;
begin
  foreach v_where_locked in array array['', 'skip locked'] loop
    begin
      execute format(
        'update pgmq.%1$I q set vt = $3, message = r.message
        from unnest($1, $2) as r(msg_id, message)
        where q.msg_id = r.msg_id and q.msg_id = any(array(
          select q.msg_id from pgmq.%1$I q where q.msg_id = any($1) for update %2$s
        ))', 'q_' || p_queue_name, v_where_locked
      )
      using p_msg_ids, p_messages, clock_timestamp();
      return null;
    exception when others then
      v_problem := sqlerrm;
    end;
  end loop;
  return v_problem;
end
$$;
