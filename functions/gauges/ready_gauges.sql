-- What waits to be claimed in each namespace: how many steps are ready, how many of them for longer
-- than p_overdue_ms, and for how long the oldest.
--
-- Counts up to p_most in each namespace. Leaps in the index of ready steps from one priority of a
-- template to the next, a thousand at most; within one, rows are in the order in which they became
-- ready. Volatile, so that it sees a table that was rewritten while it waited for it.
create or replace function tasker.ready_gauges(p_overdue_ms bigint, p_most int)
returns table (namespace text, ready int, overdue int, oldest_seconds double precision)
language plpgsql
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_now timestamptz := tasker.now();
begin
  return query
  with recursive sort as (
    (
      select r.template_id, r.priority from tasker.ready_steps r
      order by r.template_id, r.priority desc
      limit 1
    )
    union all
    select n.template_id, n.priority
    from sort s
    cross join lateral (
      select * from (
        (
          select r.template_id, r.priority from tasker.ready_steps r
          where r.template_id = s.template_id and r.priority < s.priority
          order by r.template_id, r.priority desc
          limit 1
        )
        union all
        (
          select r.template_id, r.priority from tasker.ready_steps r
          where r.template_id > s.template_id
          order by r.template_id, r.priority desc
          limit 1
        )
      ) either
      order by either.template_id
      limit 1
    ) n
  ), present as materialized (
    select t.namespace, s.template_id, s.priority
    from (select * from sort limit 1000) s
    join tasker.templates t on t.template_id = s.template_id
  )
  select n.namespace, counted.ready, counted.overdue,
    coalesce(extract(epoch from v_now - oldest.ready_at), 0)::double precision
  from tasker.namespaces n
  cross join lateral (
    select count(*)::int as ready,
      (count(*) filter (where f.ready_at < v_now - p_overdue_ms * interval '1 ms'))::int as overdue
    from (
      select r.ready_at
      from present p
      cross join lateral (
        select r.ready_at from tasker.ready_steps r
        where r.template_id = p.template_id and r.priority = p.priority
        order by r.template_id, r.priority desc, r.ready_no
        limit p_most
      ) r
      where p.namespace = n.namespace
      limit p_most
    ) f
  ) counted
  cross join lateral (
    select min(r.ready_at) as ready_at
    from present p
    cross join lateral (
      select r.ready_at from tasker.ready_steps r
      where r.template_id = p.template_id and r.priority = p.priority
      order by r.template_id, r.priority desc, r.ready_no
      limit 1
    ) r
    where p.namespace = n.namespace
  ) oldest;
end
$$;
