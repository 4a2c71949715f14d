-- Deletes messages of a queue as pgmq.delete() does, at less cost, and guarded without harm to what
-- else the caller does: where the queue is missing, damaged, locked or not ours to write, nothing
-- happens. A message that stays stands for no step any more, and is deleted when it is received. Waits
-- for one that another transaction holds until the lock_timeout of the caller.
--
-- A guard is a subtransaction. The calls that run steps go without while all is well: p_guarded says
-- whether a queue in trouble is left out, or ends the call with its error. Who calls them without
-- makes a call that failed again with it.
create or replace function tasker.delete_messages(
  p_queue_name text, p_msg_ids bigint[], p_guarded boolean default true
)
returns void
language plpgsql
as $$
begin
  if p_guarded then
    begin
      perform tasker.delete_messages(p_queue_name, p_msg_ids, false);
    exception when others then
      null;
    end;
    return;
  end if;
  execute format('delete from pgmq.%I where msg_id = any($1)', 'q_' || p_queue_name)
  using p_msg_ids;
end
$$;
