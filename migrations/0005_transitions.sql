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

create index task_transitions_of_task on tasker.task_transitions (task_uuid);

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

create index step_transitions_of_task on tasker.step_transitions (task_uuid);
