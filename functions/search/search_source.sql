-- Where tasker.search_tasks() takes tasks t from that meet a condition which many do: for each of the paths
-- $9, up to $3 in this order, from this edge on (`< $2`, say). Those of one value are walked by the value,
-- others by the tasks that have any: of a list, several values may meet it. The edge is given twice: as a
-- row, which keeps the planner from other indexes, and alone, which is where the index is entered.
create or replace function tasker.search_source(
  p_clause text, p_operand text, p_order text, p_edge text, p_bounds text, p_restricted text
)
returns text
language sql
immutable
as $$
  select format(
    'unnest($9) as w(path_id)
    cross join lateral (
      select t.* from (
        select %s s.task_uuid from tasker.search_values s
        where s.path_id = w.path_id and %s and (%s) %s and s.task_uuid %s%s
        order by s.task_uuid %s
      ) s
      cross join lateral (
        select * from tasker.tasks t where t.task_uuid = s.task_uuid%s offset 0
      ) t
      order by s.task_uuid %s limit $3
    ) t',
    case when p_operand is null then 'distinct on (s.task_uuid)' end, p_clause,
    case when p_operand is null then 's.path_id, s.task_uuid'
      else 's.path_id, s.value, s.task_uuid' end,
    format(
      p_edge, case when p_operand is null then 'w.path_id, '
        else format('w.path_id, %L, ', p_operand) end
    ),
    format(p_edge, ''), replace(p_bounds, ' t.', ' s.'), p_order, p_restricted, p_order
  )
$$;
