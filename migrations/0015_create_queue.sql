-- What stands for a step in its namespace's queue. Workers find messages by handler, the most urgent
-- first. The message of a step may stay when the next step of the task is started in its place.
-- Stable because jsonb_build_object() is, without which it would not be inlined.
create function tasker.step_message(
  p_task_uuid uuid, p_step_no int, p_handler text, p_priority int
)
returns jsonb
language sql
stable parallel safe
as $$
  select jsonb_build_object(
    'task_uuid', p_task_uuid, 'step_no', p_step_no, 'handler', p_handler, 'priority', p_priority
  )
$$;

-- Whether a queue has the index by handler; null where there is no queue. Not by its name, which a
-- table may have that was renamed.
create function tasker.has_handler_index(p_queue_name text)
returns boolean
language plpgsql
stable
as $$
declare
  v_table regclass := to_regclass(format('pgmq.%I', 'q_' || p_queue_name));
begin
  return case when v_table is not null then exists (
    select from pg_index i where i.indrelid = v_table and i.indexprs is not null
  ) end;
end
$$;

-- Makes a queue where it is missing, with the index that receipts use in place of PGMQ's on vt:
-- without that, a receipt and a longer lease change no index. Half of a page is room for them.
create function tasker.create_queue(p_queue_name text)
returns void
language plpgsql
as $$
declare
  v_table text := format('pgmq.%I', 'q_' || p_queue_name);
begin
  perform case when unlogged then pgmq.create_unlogged(p_queue_name)
    else pgmq.create(p_queue_name) end
  from tasker.queue_settings;
  execute format('drop index if exists pgmq.%I', 'q_' || p_queue_name || '_vt_idx');
  execute format('alter table %s set (fillfactor = 50)', v_table);
  if not tasker.has_handler_index(p_queue_name) then
    -- The priority stays JSON, because a foreign message may have any.
    execute format(
      'create index on %s (
        ((message ->> ''handler'') collate "C"), ((message -> ''priority'')) desc, msg_id
      )', v_table
    );
  end if;
end
$$;
