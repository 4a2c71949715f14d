-- Announces the states that tasks entered, once a statement, inside the writer's transaction; the
-- engine's own calls turn it off and announce by themselves. That a task is pending is announced by
-- tasker.submit_tasks(), because no transition leads there.
create or replace function tasker.notify_task_state_change()
returns trigger
language plpgsql
as $$
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform tasker.announce_task_states(array_agg(n.task_uuid), n.to_state)
  from new_rows n
  group by n.to_state;
  return null;
end
$$;

create or replace trigger notify_task_state_change
after insert on tasker.task_transitions
referencing new table as new_rows
for each statement execute function tasker.notify_task_state_change();
