-- Every message of every namespace's queue that can be read, except foreign ones.
create or replace function tasker.queued_messages()
returns tasker.queued_message[]
language plpgsql
stable
as $$
declare
  v_all tasker.queued_message[] := '{}';
  v_some tasker.queued_message[];
  v_queue text;
begin
  for v_queue in select queue_name from tasker.namespaces loop
    begin
      execute format(
        'select array_agg(row(
          %L, msg_id, (message ->> ''task_uuid'')::uuid, (message ->> ''step_no'')::int
        )::tasker.queued_message)
        from pgmq.%I
        where tasker.is_step_message(message)', v_queue, 'q_' || v_queue
      ) into v_some;
      v_all := v_all || coalesce(v_some, '{}');
    exception when others then
      null;
    end;
  end loop;
  return v_all;
end
$$;
