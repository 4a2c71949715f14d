-- Announces that tasks ended or were cancelled, inside the writer's transaction; the engine's own
-- calls turn it off and announce after their commit.
create function tasker.notify_task_state_change()
returns trigger
language plpgsql
as $$
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform pg_notify('tasker_task_state', jsonb_build_object(
    'state', chunk.state, 'task_uuids', chunk.task_uuids
  )::text)
  from (
    select state, jsonb_agg(task_uuid) as task_uuids
    from (
      select task_uuid,
        case to_state when 'cancelled' then 'cancelled' else 'finished' end as state,
        (row_number() over () - 1) / 100 as chunk_no
      from new_rows
      where to_state not in ('pending', 'in_progress')
    ) ended
    group by state, chunk_no
  ) chunk;
  return null;
end
$$;

create trigger notify_task_state_change
after insert on tasker.task_transitions
referencing new table as new_rows
for each statement execute function tasker.notify_task_state_change();
