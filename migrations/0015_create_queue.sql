-- Makes a queue where it is missing, with the index by which messages are found by their handler.
create function tasker.create_queue(p_queue_name text)
returns void
language plpgsql
as $$
begin
  perform case when unlogged then pgmq.create_unlogged(p_queue_name)
    else pgmq.create(p_queue_name) end
  from tasker.queue_settings;
  -- The priority stays JSON, because a message of somebody else may have any.
  execute format(
    'create index if not exists %I on pgmq.%I (
      ((message ->> ''handler'') collate "C"), ((message -> ''priority'')) desc, msg_id
    )', 'q_' || p_queue_name || '_by_handler', 'q_' || p_queue_name
  );
end
$$;
