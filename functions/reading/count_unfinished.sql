-- How many tasks of each template wait to start, run, and have failed, and how many of these failed
-- within a day. Of those that have not ended, and of those that have failed, the p_most that were
-- submitted last are counted.
--
-- Both are found between two rows and read in the order of such rows, which only the index that is meant
-- can do: where one state is asked for, a plan may walk through all tasks instead.
create or replace function tasker.count_unfinished(p_most int)
returns table (
  namespace text, name text, pending int, in_progress int, failed int, failed_lately int
)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_first constant uuid := '00000000-0000-0000-0000-000000000000';
  v_last constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  v_lately timestamptz := tasker.now() - interval '1 day';
begin
  return query
  with counted as (
    select t.template_id, count(*) filter (where t.state = 'pending') as pending,
      count(*) filter (where t.state = 'in_progress') as in_progress,
      count(*) filter (where t.state = 'error') as failed,
      count(*) filter (where t.state = 'error' and t.finished_at > v_lately) as failed_lately
    from (
      (
        select o.template_id, o.state, o.finished_at from tasker.tasks o
        where o.listed_as <> 'complete' and (o.listed_as, o.task_uuid) >= ('in_progress', v_first)
          and (o.listed_as, o.task_uuid) <= ('in_progress', v_last)
        order by o.listed_as desc, o.task_uuid desc
        limit p_most
      )
      union all
      (
        select f.template_id, f.state, f.finished_at from tasker.tasks f
        where f.listed_as <> 'complete' and (f.listed_as, f.task_uuid) >= ('error', v_first)
          and (f.listed_as, f.task_uuid) <= ('error', v_last)
        order by f.listed_as desc, f.task_uuid desc
        limit p_most
      )
    ) t
    group by t.template_id
  )
  select tp.namespace, tp.name, sum(c.pending)::int, sum(c.in_progress)::int, sum(c.failed)::int,
    sum(c.failed_lately)::int
  from counted c
  join tasker.templates tp on tp.template_id = c.template_id
  group by tp.namespace, tp.name;
end
$$;
