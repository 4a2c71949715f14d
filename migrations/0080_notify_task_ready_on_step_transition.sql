-- Announces that tasks got ready steps, once a statement, inside the writer's transaction: for
-- submitters and operators in plain SQL. The engine's own calls turn it off and announce after
-- their commit, because a transaction with a NOTIFY in it serialises with all others until it is
-- flushed. The payload is a hint and stays small whatever the batch.
create function tasker.notify_task_ready_on_step_transition()
returns trigger
language plpgsql
as $$
declare
  v_count bigint;
begin
  if current_setting('tasker.announce', true) = 'off' then
    return null;
  end if;
  select count(*) into v_count from new_rows;
  if v_count = 0 then
    return null;
  end if;
  perform pg_notify('tasker_task_ready', jsonb_build_object(
    'namespace', (
      select case when count(distinct t.namespace) = 1 then min(t.namespace) end
      from (select distinct template_id from new_rows) r
      join tasker.templates t on t.template_id = r.template_id
    ),
    'task_uuids', (
      select jsonb_agg(task_uuid)
      from (select distinct task_uuid from new_rows limit 100) few
    ),
    'count', v_count,
    'triggered_by', (
      select case t.state when 'pending' then 'task_start' else 'step_transition' end
      from new_rows r join tasker.tasks t on t.task_uuid = r.task_uuid
      limit 1
    )
  )::text);
  return null;
end
$$;

create trigger notify_task_ready_on_step_transition
after insert on tasker.ready_steps
referencing new table as new_rows
for each statement execute function tasker.notify_task_ready_on_step_transition();
