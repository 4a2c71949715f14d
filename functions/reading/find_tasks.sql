-- Up to p_limit tasks whose UUID begins with these hexadecimal digits, or ends with them before the
-- four zeros that end each; the latest first. Up to eight digits can be an end: they are looked for
-- among the latest million tasks, because no index has ends.
create or replace function tasker.find_tasks(p_digits text, p_limit int)
returns setof uuid
language plpgsql
stable
set enable_seqscan to off
set jit to off
as $$
begin
  return query
  select f.task_uuid
  from (
    select b.task_uuid from (
      select t.task_uuid from tasker.tasks t
      where t.task_uuid between rpad(p_digits, 32, '0')::uuid and rpad(p_digits, 32, 'f')::uuid
      order by t.task_uuid desc limit p_limit
    ) b
    union
    select e.task_uuid from (
      select t.task_uuid from tasker.tasks t order by t.task_uuid desc limit 1000000
    ) e
    where length(p_digits) <= 8 and e.task_uuid::text like '%' || p_digits || '0000'
  ) f
  order by f.task_uuid desc
  limit p_limit;
end
$$;
