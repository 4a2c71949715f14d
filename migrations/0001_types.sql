-- The states of tasks and steps. Which of them may follow which is said by the two functions that
-- the transition logs check.
create type tasker.task_state as enum (
  'pending', 'in_progress', 'complete', 'error', 'cancelled', 'resolved_manually'
);

create type tasker.step_state as enum (
  'pending', 'enqueued', 'in_progress', 'waiting_for_retry',
  'complete', 'error', 'cancelled', 'skipped', 'resolved_manually'
);

-- Whether a task may go from one state to the other. The functions that constraints call are in
-- plpgsql: every statement that writes would read expressions of SQL from the catalogue again.
create function tasker.task_may_move(p_from tasker.task_state, p_to tasker.task_state)
returns boolean
language plpgsql
immutable parallel safe
as $$
begin
  return case p_from
    when 'pending' then p_to in ('in_progress', 'cancelled')
    when 'in_progress' then p_to in ('complete', 'error', 'cancelled')
    when 'error' then p_to in ('in_progress', 'cancelled', 'resolved_manually')
    else false
  end;
end
$$;

-- Whether a step may go from one state to the other. From pending to in_progress goes one that a
-- worker was handed together with the end of the step before it.
create function tasker.step_may_move(p_from tasker.step_state, p_to tasker.step_state)
returns boolean
language plpgsql
immutable parallel safe
as $$
begin
  return case p_from
    when 'pending' then
      p_to in ('enqueued', 'in_progress', 'cancelled', 'skipped', 'resolved_manually')
    when 'enqueued' then p_to in ('in_progress', 'cancelled', 'skipped', 'resolved_manually')
    when 'in_progress' then
      p_to in ('enqueued', 'complete', 'waiting_for_retry', 'error', 'cancelled')
    when 'waiting_for_retry' then p_to in ('enqueued', 'cancelled', 'skipped', 'resolved_manually')
    when 'error' then p_to in ('pending', 'skipped', 'resolved_manually')
    else false
  end;
end
$$;

-- Whether the columns of a task agree. While it runs something of it can move; once it ended it has
-- an end, and no failed step where it is complete.
create function tasker.task_is_sound(
  p_state tasker.task_state, p_finished_at timestamptz, p_active_steps int, p_failed_steps int
)
returns boolean
language plpgsql
immutable parallel safe
as $$
begin
  return p_active_steps >= 0 and p_failed_steps >= 0 and case
    when p_state in ('pending', 'in_progress') then p_finished_at is null and p_active_steps > 0
    else p_finished_at is not null and (p_state <> 'complete' or p_failed_steps = 0)
  end;
end
$$;

-- Whether the columns of a step agree. It moves only after those it depends on, and it has a message
-- while it is enqueued or held.
create function tasker.step_is_sound(p_state tasker.step_state, p_waiting_on int, p_msg_id bigint)
returns boolean
language plpgsql
immutable parallel safe
as $$
begin
  return (p_msg_id is not null) = (p_state in ('enqueued', 'in_progress'))
    and (
      p_waiting_on = 0
      or p_waiting_on > 0 and p_state in ('pending', 'cancelled', 'skipped', 'resolved_manually')
    );
end
$$;
