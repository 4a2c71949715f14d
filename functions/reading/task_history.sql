-- Every move of a task and its steps, the oldest first; step_name is null for the task's own.
create or replace function tasker.task_history(p_task_uuid uuid)
returns table (
  at timestamptz, step_name text, attempt int, from_state text, to_state text,
  actor text, reason text
)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set jit to off
as $$
#variable_conflict use_column
begin
  return query
  select m.at, m.step_name, m.attempt, m.from_state, m.to_state, m.actor, m.reason
  from (
    select t.at, null as step_name, null::int as attempt, t.from_state::text, t.to_state::text,
      t.actor, t.reason, 0 as kind, t.transition_no, 1 as part
    from tasker.task_transitions t
    where t.task_uuid = p_task_uuid
    union all
    select s.at, ts.name, s.attempt, s.from_state::text, s.to_state::text,
      s.actor, coalesce(s.reason, s.error ->> 'message'), 1, s.transition_no, s.part
    from tasker.step_transitions s
    join tasker.tasks k on k.task_uuid = s.task_uuid
    join tasker.template_steps ts on ts.template_id = k.template_id and ts.step_no = s.step_no
    where s.task_uuid = p_task_uuid
  ) m
  order by m.at,
    -- At one moment a task starts before its steps and ends after them.
    case when m.kind = 0 and m.to_state <> 'in_progress' then 2 else m.kind end, m.transition_no, m.part;
end
$$;
