-- For each step of a task that waits for others, by its number, the step that it waits for in the end:
-- of those that nothing stands before but their own cause, one that failed, or else the one that is
-- furthest from its end. Others have null. Follows each dependency once.
create or replace function tasker.why_roots(p_task_uuid uuid)
returns int[]
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
declare
  v_ranks int[];
  v_waiting_on int[];
  v_first int[];
  v_dependents int[];
  v_ready int[];
  v_roots int[];
  v_step int;
  v_root int;
  v_dependent int;
  v_next int := 1;
begin
  select array_agg(case e.state
      when 'error' then 5
      when 'pending' then 4
      when 'waiting_for_retry' then 3
      when 'enqueued' then 2
      when 'in_progress' then 1
    end order by e.step_no),
    array_agg(e.waiting_on order by e.step_no),
    array_agg(e.first order by e.step_no),
    array_agg(e.step_no order by e.step_no) filter (
      where e.waiting_on = 0
        and e.state in ('error', 'pending', 'waiting_for_retry', 'enqueued', 'in_progress')
    )
  into v_ranks, v_waiting_on, v_first, v_ready
  from (
    select s.step_no, s.state, s.waiting_on,
      1 + sum(cardinality(ts.dependents)) over (order by s.step_no)
        - cardinality(ts.dependents) as first
    from tasker.steps s
    join tasker.template_steps ts on ts.template_id = s.template_id and ts.step_no = s.step_no
    where s.task_uuid = p_task_uuid
  ) e;
  select array_agg(d.step_no order by ts.step_no, d.position) into v_dependents
  from tasker.tasks t
  join tasker.template_steps ts on ts.template_id = t.template_id
  cross join unnest(ts.dependents) with ordinality as d(step_no, position)
  where t.task_uuid = p_task_uuid;

  v_roots := array_fill(null::int, array[cardinality(v_ranks)]);
  while v_next <= coalesce(cardinality(v_ready), 0) loop
    v_step := v_ready[v_next];
    v_next := v_next + 1;
    v_root := coalesce(v_roots[v_step], v_step);
    for v_edge in v_first[v_step] .. coalesce(
      v_first[v_step + 1], coalesce(cardinality(v_dependents), 0) + 1
    ) - 1 loop
      v_dependent := v_dependents[v_edge];
      -- One that an operator settled before its time passes nothing on.
      continue when v_ranks[v_dependent] is null;
      if v_roots[v_dependent] is null or v_ranks[v_root] > v_ranks[v_roots[v_dependent]] then
        v_roots[v_dependent] := v_root;
      end if;
      v_waiting_on[v_dependent] := v_waiting_on[v_dependent] - 1;
      if v_waiting_on[v_dependent] = 0 then
        v_ready := v_ready || v_dependent;
      end if;
    end loop;
  end loop;
  return v_roots;
end
$$;
