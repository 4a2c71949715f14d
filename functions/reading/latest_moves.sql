-- The latest p_limit moves of a task and its steps, or of these steps alone, the latest first; step_name
-- is null for the task's own. Of each error as much is there as p_error_characters allow; its details
-- whole or not at all.
create or replace function tasker.latest_moves(
  p_task_uuid uuid, p_step_nos int[], p_limit int, p_error_characters int
)
returns table (
  at timestamptz, step_no int, step_name text, attempt int, from_state text, to_state text,
  actor text, reason text, error jsonb
)
language plpgsql
stable
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
set enable_hashjoin to off
set enable_mergejoin to off
set jit to off
as $$
#variable_conflict use_column
begin
  return query
  select m.at, m.step_no, ts.name, m.attempt, m.from_state, m.to_state,
    left(m.actor, 200), left(m.reason, 2000),
    case when m.error is not null then jsonb_build_object(
      'kind', left(m.error ->> 'kind', 200),
      'message', left(m.error ->> 'message', p_error_characters),
      'details', case when length(m.error ->> 'details') <= p_error_characters
        then m.error -> 'details' end
    ) end
  from (
    select t.at, null::int as step_no, null::int as attempt, t.from_state::text,
      t.to_state::text, t.actor, t.reason, null::jsonb as error,
      -- At one moment a task starts before its steps and ends after them.
      case when t.to_state <> 'in_progress' then 2 else 0 end as kind, t.transition_no, 1 as part
    from tasker.task_transitions t
    where t.task_uuid = p_task_uuid and p_step_nos is null
    union all
    select s.at, s.step_no, s.attempt, s.from_state::text, s.to_state::text, s.actor, s.reason,
      s.error, 1, s.transition_no, s.part
    from tasker.step_transitions s
    where s.task_uuid = p_task_uuid and (p_step_nos is null or s.step_no = any(p_step_nos))
    order by 1 desc, 9 desc, 10 desc, 11 desc
    limit p_limit
  ) m
  join tasker.tasks k on k.task_uuid = p_task_uuid
  left join tasker.template_steps ts
    on ts.template_id = k.template_id and ts.step_no = m.step_no
  order by m.at desc, m.kind desc, m.transition_no desc, m.part desc;
end
$$;
