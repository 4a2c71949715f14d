-- What a batch of moved steps brought about: which positions of the input (from 1) were stale, which
-- were left out because another transaction holds the task or the step, and what the caller has to
-- announce once it has committed.
create type tasker.moved as (
  stale int[],
  locked int[],
  ready_tasks uuid[],
  finished_tasks uuid[],
  cancelled_tasks uuid[],
  woken_queues text[],
  timer_set boolean
);

-- A step in a worker's hands, with all its handler may want to know. receipt is what an outcome has
-- to name. expired says that the message came back because an earlier holder's lease ran out.
-- dependency_results is null where the handler asks for each result: tasker.dependency_result().
--
-- problem says why a step cannot be handed out: it comes without what its handler would need, and
-- its worker has to fail it. Where there is no step, the row names a namespace whose queue could
-- not be read, with the problem, or one in which steps were left out.
create type tasker.received_step as (
  task_uuid uuid,
  step_no int,
  msg_id bigint,
  namespace text,
  template text,
  step_name text,
  handler text,
  attempt int,
  receipt int,
  max_attempts int,
  timeout_ms int,
  priority int,
  context jsonb,
  input jsonb,
  dependency_results jsonb,
  expired text,
  input_bytes bigint,
  problem text
);

-- A message of any namespace's queue, and the step it stands for.
create type tasker.queued_message as (
  queue_name text, msg_id bigint, task_uuid uuid, step_no int
);
