-- Everything there is of tasks, each as one JSON document: what tasker.get_task() answers, and both
-- logs as `transitions`, where `step` is null for the task's own. Unknown tasks are left out. Best asked
-- for tasks that were submitted one after the other: the logs are read from the first to the last.
create or replace function tasker.task_documents(p_task_uuids uuid[])
returns table (task_uuid uuid, document jsonb)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
declare
  v_first uuid := (select min(u::text)::uuid from unnest(p_task_uuids) u);
  v_last uuid := (select max(u::text)::uuid from unnest(p_task_uuids) u);
begin
  return query
  with move as (
    -- The test of a test keeps the planner from reading the index once for each task.
    select l.task_uuid, l.at, l.transition_no, 1 as part,
      case when l.to_state = 'in_progress' then 0 else 2 end as kind, null::int as step_no,
      jsonb_build_object(
        'at', l.at, 'step', null, 'from', l.from_state, 'to', l.to_state, 'actor', l.actor,
        'reason', l.reason
      ) as document
    from tasker.task_transitions l
    where l.task_uuid between v_first and v_last and (l.task_uuid = any(p_task_uuids)) is true
    union all
    select l.task_uuid, l.at, l.transition_no, l.part, 1, l.step_no,
      jsonb_build_object(
        'at', l.at, 'attempt', l.attempt, 'from', l.from_state, 'to', l.to_state,
        'actor', l.actor, 'reason', l.reason, 'error', l.error
      )
    from tasker.step_transitions l
    where l.task_uuid between v_first and v_last and (l.task_uuid = any(p_task_uuids)) is true
  ), history as materialized (
    select m.task_uuid, jsonb_agg(
      case when m.step_no is null then m.document
        else m.document || jsonb_build_object('step', ts.name) end
      order by m.at, m.kind, m.transition_no, m.part
    ) as transitions
    from move m
    join tasker.tasks t on t.task_uuid = m.task_uuid
    left join tasker.template_steps ts
      on ts.template_id = t.template_id and ts.step_no = m.step_no
    group by m.task_uuid
  )
  select t.task_uuid,
    tasker.get_task(t.task_uuid) - 'execution_status'
      || jsonb_build_object('transitions', coalesce(h.transitions, '[]'))
  from unnest(p_task_uuids) as w(task_uuid)
  join tasker.tasks t on t.task_uuid = w.task_uuid
  left join history h on h.task_uuid = w.task_uuid;
end
$$;
