-- The states of tasks and steps. Which of them may follow which is said by the two functions that
-- the transition logs check.
create type tasker.task_state as enum (
  'pending', 'in_progress', 'complete', 'error', 'cancelled', 'resolved_manually'
);

create type tasker.step_state as enum (
  'pending', 'enqueued', 'in_progress', 'waiting_for_retry',
  'complete', 'error', 'cancelled', 'skipped', 'resolved_manually'
);

-- Whether a task may go from one state to the other. This and the next are in plpgsql because a
-- constraint would otherwise parse them anew for every statement that inserts.
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
