-- Up to p_limit tasks as tasker.search_tasks() answers them, by its filters before there were conditions.
create or replace function tasker.list_tasks(
  p_namespace text, p_name text, p_state tasker.task_state, p_before uuid, p_limit int,
  p_since timestamptz default null, p_until timestamptz default null, p_key text default null,
  p_step text default null, p_error text default null
)
returns setof jsonb
language sql
stable
as $$
  select tasker.search_tasks(
    jsonb_build_object(
      'namespace', p_namespace, 'name', p_name, 'state', p_state, 'since', p_since,
      'until', p_until, 'key', p_key, 'step', p_step, 'error', p_error
    ),
    p_limit, p_before
  )
$$;
