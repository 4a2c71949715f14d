-- The UUID that names a step to users: its task's, with the step's number in the low 16 bits.
create or replace function tasker.step_uuid(p_task_uuid uuid, p_step_no int)
returns uuid
language sql
immutable parallel safe
as $$
  select overlay(
    p_task_uuid::text placing lpad(to_hex(p_step_no), 4, '0') from 33
  )::uuid
$$;
