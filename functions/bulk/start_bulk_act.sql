-- Notes that an operator wants this done to all tasks that match at this moment. Nothing is done yet:
-- tasker.continue_bulk_act() does it. Raises TK400 for a filter that is not one of this action.
create or replace function tasker.start_bulk_act(
  p_action text, p_filter jsonb, p_actor text, p_reason text default null
)
returns uuid
language sql
as $$
  insert into tasker.bulk_acts
    (bulk_uuid, created_at, touched_at, position, action, actor, reason, filter)
  select a.bulk_uuid, clock_timestamp(), clock_timestamp(), a.bulk_uuid, p_action, p_actor, p_reason,
    tasker.bulk_filter(p_action, p_filter)
  -- It is a UUID of this millisecond, so that tasks which are submitted later come after it.
  from (select tasker.new_task_uuid() as bulk_uuid) a
  returning bulk_uuid
$$;
