-- Submits the tasks of a JSON array, all or none, in the caller's transaction. Each is an object
-- with namespace, name, and perhaps version, context, priority, idempotency_key, on_conflict.
-- Answers, for each in the order of the input, the task and whether it is new: a known idempotency
-- key of the same template gives the task it was first used for, and context_differs says whether
-- that one has another context. Where on_conflict is `reject` that is refused.
-- Raises TK404 for an unknown template, TK400 for a bad task, TK409 for a key that was used with
-- another context; all name its position.
create or replace function tasker.submit_tasks(p_tasks jsonb)
returns table ("position" int, task_uuid uuid, created boolean, context_differs boolean)
language plpgsql
as $$
begin
  return query
  select c."position", c.task_uuid, c.created, c.context_differs
  from tasker.create_tasks(p_tasks) c;
end
$$;
