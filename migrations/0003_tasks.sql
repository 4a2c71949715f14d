-- A task is one run of a template.
--
-- active_steps counts its steps that are ready, enqueued, in progress or waiting for a retry. A
-- task ends when that falls to zero: nothing of it can move. failed_steps tells how it ends.
create table tasker.tasks (
  task_uuid uuid primary key,
  created_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz,
  template_id int not null,
  state tasker.task_state not null default 'pending',
  priority int not null,
  active_steps int not null,
  failed_steps int not null default 0,
  context jsonb not null,
  idempotency_key text,
  reason text,
  -- The state that lists find it by. It is the same from submission to end, so that what happens to
  -- a task in between moves no entry of an index.
  listed_as tasker.task_state not null
    generated always as (case state when 'pending' then 'in_progress' else state end) stored,

  constraint a_task_is_sound check (
    tasker.task_is_sound(state, finished_at, active_steps, failed_steps)
  )
)
-- Of tasks that are submitted together, many start in one transaction: half of a page is room for
-- their next versions.
with (fillfactor = 50);

-- Lists by state look for what is not complete; what is complete is found by walking back in time.
create index tasks_not_complete on tasker.tasks (listed_as, task_uuid)
where listed_as <> 'complete';

-- Lists by template.
create index tasks_of_template on tasker.tasks (template_id, task_uuid);

-- The first task of each idempotency key, per template, whatever its version.
create table tasker.idempotency_keys (
  namespace text not null,
  name text not null,
  idempotency_key text not null,
  task_uuid uuid not null,

  primary key (namespace, name, idempotency_key)
);
