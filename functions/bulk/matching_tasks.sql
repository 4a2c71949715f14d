-- The tasks that a filter of an act finds, the latest submitted first: at most p_limit, of those
-- submitted before p_before.
create or replace function tasker.matching_tasks(p_filter jsonb, p_before uuid, p_limit int)
returns setof uuid
language sql
stable
as $$
  select (t.task ->> 'task_uuid')::uuid
  from tasker.search_tasks(p_filter, p_limit, p_before) as t(task)
$$;
