-- The tasks that a filter of an act finds, the latest submitted first: at most p_limit, of those
-- submitted before p_before.
create or replace function tasker.matching_tasks(p_filter jsonb, p_before uuid, p_limit int)
returns setof uuid
language sql
stable
as $$
  select (t.task ->> 'task_uuid')::uuid
  from tasker.list_tasks(
    p_filter ->> 'namespace', p_filter ->> 'name', (p_filter ->> 'state')::tasker.task_state,
    p_before, p_limit, (p_filter ->> 'since')::timestamptz, (p_filter ->> 'until')::timestamptz,
    p_filter ->> 'key', p_filter ->> 'step', p_filter ->> 'error'
  ) as t(task)
$$;
