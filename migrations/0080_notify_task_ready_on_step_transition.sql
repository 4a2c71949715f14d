-- Announces that tasks got ready steps, once a statement, inside the writer's transaction: for
-- submitters and operators in plain SQL. The engine's own calls turn it off and announce after
-- their commit, because a transaction with a NOTIFY in it serialises with all others until it is
-- flushed. The payload is a hint and stays small whatever the batch.
create function tasker.notify_task_ready_on_step_transition()
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
  perform pg_notify(
    tasker.channel('task_ready', case when grouping(t.namespace) = 0 then t.namespace end),
    tasker.readiness_payload(
      count(distinct r.task_uuid), min(r.task_uuid::text)::uuid,
      case when count(distinct t.namespace) = 1 then min(t.namespace) end,
      max(r.priority), count(*),
      case when bool_and(r.cause = 'task_start') then 'task_start' else 'step_transition' end,
      case when tasker.step_uuid(min(r.task_uuid::text)::uuid, 0)
        = tasker.step_uuid(v_step_uuid, 0) then v_step_uuid end,
      v_moved[2],
      case when count(distinct r.task_uuid) = 1 then (
        select k.state::text from tasker.tasks k where k.task_uuid = min(r.task_uuid::text)::uuid
      ) end
    )
  )
  from new_rows r
  join tasker.templates t on t.template_id = r.template_id
  group by grouping sets ((), (t.namespace))
  having count(*) > 0;
  return null;
end
$$;

create trigger notify_task_ready_on_step_transition
after insert on tasker.ready_steps
referencing new table as new_rows
for each statement execute function tasker.notify_task_ready_on_step_transition();
