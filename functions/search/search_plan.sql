-- How tasks of a filter are found by its conditions (`where`): `probe` and `probes` restrict tasks t to
-- those that meet the first condition and all others. `few` has the tasks that can, where one condition or
-- the state alone leaves few, all those from p_above to p_below at least. Otherwise the tasks of the first
-- condition, `clause`, are walked in their order: by its only `operand`, or all those that have a value
-- at `path_ids`.
-- Raises what tasker.search_conditions() raises.
create or replace function tasker.search_plan(
  p_filter jsonb, p_listed_as tasker.task_state, p_above uuid, p_below uuid,
  out probe text, out probes text, out few uuid[], out path_ids int[], out clause text, out operand text
)
language plpgsql
stable
set enable_seqscan to off
set enable_bitmapscan to off
set enable_sort to off
set jit to off
as $$
declare
  -- So many are sorted in some milliseconds. Of a condition that more tasks meet, a page is found soon.
  c_few constant int := 10000;
  v_condition record;
  v_probe text;
  v_found uuid[];
begin
  probes := '';
  for v_condition in select * from tasker.search_conditions(p_filter) loop
    -- A subquery that answers one row is run for each task by itself.
    v_probe := format(
      ' and (select true from tasker.search_values s where s.path_id = (
        select p.path_id from tasker.template_paths p
        where p.template_id = t.template_id and p.path = %L
      ) and s.task_uuid = t.task_uuid and %s limit 1)', v_condition.path, v_condition.clause
    );
    if path_ids is null then
      path_ids := v_condition.path_ids;
      clause := v_condition.clause;
      operand := case v_condition.operator when '=' then left(v_condition.operand, 256) end;
      probe := v_probe;
    else
      probes := probes || v_probe;
    end if;
    -- Of one value alone every task is shown.
    continue when cardinality(few) <= 100
      or operand is not null and p_listed_as is null and jsonb_array_length(p_filter -> 'where') = 1;
    -- The order is that of the index that is meant.
    execute 'select array_agg(f.task_uuid) from (
      select s.task_uuid from unnest($1) as w(path_id)
      cross join lateral (
        select s.task_uuid from tasker.search_values s
        where s.path_id = w.path_id and ' || v_condition.clause || case
          when v_condition.operator = '=' then
            ' and (s.path_id, s.value, s.task_uuid) < (w.path_id, $2, $3)
              and s.task_uuid < $3 and s.task_uuid >= $4
            order by s.task_uuid desc'
          when v_condition.clause like 's.number%' then ' order by s.number'
          else ' order by s.value'
        end || ' limit $5
      ) s limit $5
    ) f'
    into v_found
    using v_condition.path_ids, left(v_condition.operand, 256), p_below, p_above, c_few + 1;
    v_found := coalesce(v_found, '{}');
    if cardinality(v_found) <= coalesce(cardinality(few) - 1, c_few) then
      few := v_found;
    end if;
  end loop;

  if p_listed_as <> 'complete' and coalesce(cardinality(few) > 100, true) then
    v_found := array(
      select t.task_uuid from tasker.tasks t
      where t.listed_as = p_listed_as and t.listed_as <> 'complete'
        and (t.listed_as, t.task_uuid) < (p_listed_as, p_below) and t.task_uuid >= p_above
      order by t.task_uuid desc
      limit c_few + 1
    );
    if cardinality(v_found) <= coalesce(cardinality(few) - 1, c_few) then
      few := v_found;
    end if;
  end if;
end
$$;
