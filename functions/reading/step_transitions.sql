-- Every move of every step. A step that started in the place of the one before it has its number from
-- the row of that one's end, and comes second.
create or replace view tasker.step_transitions as
select l.transition_no, l.task_uuid, l.at, m.step_no, m.attempt, m.from_state, m.to_state, l.actor,
  m.reason, m.error, m.part
from tasker.step_log l
cross join lateral (values
  (1, l.step_no, l.attempt, l.from_state, l.to_state, l.reason, l.error),
  (2, l.started_step_no, l.started_attempt, 'pending', 'in_progress', null, null)
) as m(part, step_no, attempt, from_state, to_state, reason, error)
where m.step_no is not null;
