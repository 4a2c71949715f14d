-- Whether a message of a queue says which step it stands for, as Tasker's own do.
create or replace function tasker.is_step_message(p_message jsonb)
returns boolean
language plpgsql
immutable parallel safe
as $$
begin
  return coalesce(
    p_message ->> 'task_uuid' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      and p_message ->> 'step_no' ~ '^[1-9]\d{0,4}$'
      and jsonb_typeof(p_message -> 'handler') = 'string',
    false
  );
end
$$;
