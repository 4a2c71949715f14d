-- Makes a queue where it is missing, with the index that receipts use in place of PGMQ's on vt:
-- without that, a receipt and a longer lease change no index. Half of a page is room for them.
create or replace function tasker.create_queue(p_queue_name text)
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
