-- The end of a step, and the start of the one that followed in its place, at the same time and in the
-- same hands, are one row of the log: half of all rows where workers continue. The view
-- tasker.step_transitions shows them as the two moves that they are.
alter table tasker.step_transitions rename to step_log;
alter sequence tasker.step_transitions_transition_no_seq rename to step_log_transition_no_seq;

alter table tasker.step_log
  add column started_step_no int,
  add column started_attempt int;

update tasker.log_ranges set log = 'step_log' where log = 'step_transitions';

-- It answers other columns now.
drop function if exists tasker.free_dependents(
  uuid[], int[], int[], timestamptz, text, bigint[], text[], bigint, int, int[]
);
