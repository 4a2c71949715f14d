-- Announces that tasks got ready steps, once a statement, inside the writer's transaction: for
-- submitters and operators in plain SQL. The engine's own calls turn it off and announce after
-- their commit, because a transaction with a NOTIFY in it serialises with all others until it is
-- flushed. Payloads are hints, and small whatever the batch.
create or replace function tasker.notify_task_ready_on_step_transition()
returns trigger
language plpgsql
as $$
declare
  -- The step that an operator has just moved in this transaction: its UUID and its state.
  v_moved text[] := string_to_array(nullif(current_setting('tasker.moved_step', true), ''), ' ');
  v_step_uuid uuid := v_moved[1];
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  perform tasker.announce_ready_tasks(
    array_agg(t.task_uuid), array_agg(t.ready_steps), array_agg(t.step_uuid), v_moved[2],
    t.triggered_by
  )
  from (
    select r.task_uuid, count(*) as ready_steps,
      case when tasker.step_uuid(r.task_uuid, 0) = tasker.step_uuid(v_step_uuid, 0)
        then v_step_uuid end as step_uuid,
      case when bool_and(r.cause = 'task_start') then 'task_start' else 'step_transition' end
        as triggered_by
    from new_rows r
    group by r.task_uuid
  ) t
  group by t.triggered_by;
  return null;
end
$$;

create or replace trigger notify_task_ready_on_step_transition
after insert on tasker.ready_steps
referencing new table as new_rows
for each statement execute function tasker.notify_task_ready_on_step_transition();
