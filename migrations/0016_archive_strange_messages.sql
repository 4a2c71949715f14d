-- Whether a message of a queue says which step it stands for, as Tasker's own do.
create function tasker.is_step_message(p_message jsonb)
returns boolean
language plpgsql
immutable parallel safe
as $$
begin
  return coalesce(
    p_message ->> 'task_uuid' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      and p_message ->> 'step_no' ~ '^[1-9]\d{0,4}$'
      and jsonb_typeof(p_message -> 'handler') = 'string',
    false
  );
end
$$;

-- Moves foreign messages of a queue into its archive, and answers how many. Those that
-- another transaction holds stay for the next time.
create function tasker.archive_strange_messages(p_queue_name text)
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
