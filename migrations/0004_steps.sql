-- A step of a task.
--
-- waiting_on counts the steps it depends on that are not satisfied yet. attempt counts the starts
-- that people are shown; a step that is given back unstarted takes its attempt back. receipt is the
-- fencing token: it grows with every start and never shrinks, and an outcome counts only when it
-- names the current one. msg_id is the message that stands for the step in its namespace's queue, and
-- the only one that may start it.
--
-- result_bytes is the size of the result as it is kept in memory, and input_bytes that of all that a
-- handler is given: the context of the task and, unless it asks for them, the results of the steps it
-- depends on.
create table tasker.steps (
  task_uuid uuid not null,
  msg_id bigint,
  enqueued_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  input_bytes bigint not null default 0,
  step_no int not null,
  template_id int not null,
  state tasker.step_state not null default 'pending',
  waiting_on int not null,
  attempt int not null default 0,
  max_attempts int not null,
  receipt int not null default 0,
  result_bytes int not null default 0,
  worker text,
  result jsonb,
  error jsonb,

  primary key (task_uuid, step_no),
  constraint a_step_is_sound check (tasker.step_is_sound(state, waiting_on, msg_id))
)
-- Rows grow by half on their way from pending to complete, and are to stay on their page.
with (fillfactor = 50);

-- What made a step ready.
create type tasker.ready_cause as enum ('task_start', 'step_transition', 'retry');

-- Exactly the steps that an orchestrator may claim now: what a claim takes, it takes from here.
-- A row whose step was cancelled or settled meanwhile is void and dropped by the next claim.
create table tasker.ready_steps (
  ready_no bigint not null generated always as identity,
  task_uuid uuid not null,
  ready_at timestamptz not null,
  step_no int not null,
  template_id int not null,
  priority int not null,
  cause tasker.ready_cause not null default 'step_transition'
);

-- The order of claims: the most urgent first, then the oldest.
create index ready_steps_in_order on tasker.ready_steps (priority desc, ready_no);

-- The same of each template, for orchestrators that serve some namespaces only.
create index ready_steps_of_template on tasker.ready_steps (template_id, priority desc, ready_no);

-- Retries that wait for their time.
create table tasker.timers (
  task_uuid uuid not null,
  step_no int not null,
  due_at timestamptz not null,

  primary key (task_uuid, step_no)
);

create index timers_by_time on tasker.timers (due_at);

-- The priorities that steps were enqueued with. Where there is only one, nobody need ask whether
-- something more urgent waits. A priority may be in it twice: writers do not wait for each other.
create table tasker.priorities_in_use (
  priority int not null
);

create index priorities_in_use_in_order on tasker.priorities_in_use (priority);
