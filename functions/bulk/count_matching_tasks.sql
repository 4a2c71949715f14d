-- How many tasks an act of this filter would be about, p_limit at most. Raises TK400 for a filter that
-- is not one of this action.
create or replace function tasker.count_matching_tasks(
  p_action text, p_filter jsonb, p_limit int default 100000
)
returns bigint
language sql
stable
as $$
  select count(*)
  from tasker.matching_tasks(tasker.bulk_filter(p_action, p_filter), null, p_limit)
$$;
