-- Moves foreign messages of a queue into its archive, and answers how many. Those that
-- another transaction holds stay for the next time.
create or replace function tasker.archive_strange_messages(p_queue_name text)
returns int
language plpgsql
as $$
declare
  v_archived int;
begin
  execute format(
    'with strange as (
      delete from pgmq.%1$I where msg_id = any(array(
        select q.msg_id from pgmq.%1$I q
        where not tasker.is_step_message(q.message)
        for update skip locked
      ))
      returning *
    )
    insert into pgmq.%2$I (msg_id, read_ct, enqueued_at, vt, message, headers)
    select s.msg_id, s.read_ct, s.enqueued_at, s.vt, s.message, s.headers from strange s
    on conflict do nothing', 'q_' || p_queue_name, 'a_' || p_queue_name
  );
  get diagnostics v_archived = row_count;
  return v_archived;
end
$$;
