-- Announces that tasks ended or were cancelled, once a statement, inside the writer's transaction;
-- the engine's own calls turn it off and announce after their commit.
create function tasker.notify_task_state_change()
returns trigger
language plpgsql
as $$
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform tasker.announce_ended_tasks(array(
    select task_uuid from new_rows where to_state not in ('pending', 'in_progress')
  ));
  return null;
end
$$;

create trigger notify_task_state_change
after insert on tasker.task_transitions
referencing new table as new_rows
for each statement execute function tasker.notify_task_state_change();
