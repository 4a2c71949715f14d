-- Every move of every task, appended by the functions that make it.
create table tasker.task_transitions (
  transition_no bigint not null generated always as identity,
  task_uuid uuid not null,
  at timestamptz not null,
  from_state tasker.task_state not null,
  to_state tasker.task_state not null,
  actor text,
  reason text,

  constraint a_task_moves_legally check (tasker.task_may_move(from_state, to_state))
);

-- The logs are indexed by ranges of pages and not row by row: each move would pay for an entry that
-- is read only when a person asks what became of one task. What is logged at one time is of tasks
-- submitted at one time, except few, which is what the multi-range operators are for. Whoever
-- follows a log finds its end by the numbers.
create index task_transitions_by_range on tasker.task_transitions
using brin (task_uuid uuid_minmax_multi_ops, transition_no)
with (pages_per_range = 64, autosummarize = on);

-- Every move of every step. error tells why an attempt failed; the step itself keeps the latest.
create table tasker.step_transitions (
  transition_no bigint not null generated always as identity,
  task_uuid uuid not null,
  at timestamptz not null,
  step_no int not null,
  attempt int not null,
  from_state tasker.step_state not null,
  to_state tasker.step_state not null,
  actor text,
  reason text,
  error jsonb,

  constraint a_step_moves_legally check (tasker.step_may_move(from_state, to_state))
);

create index step_transitions_by_range on tasker.step_transitions
using brin (task_uuid uuid_minmax_multi_ops, transition_no)
with (pages_per_range = 64, autosummarize = on);

-- An index on an empty table begins with a summary of its first range, which every insertion would
-- then have to widen. Without it that range is summarised like the others, when it is full.
select brin_desummarize_range('tasker.task_transitions_by_range', 0);
select brin_desummarize_range('tasker.step_transitions_by_range', 0);
