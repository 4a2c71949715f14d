-- Moves by their numbers: those of each range of numbers in the log of tasks and in that of steps;
-- and submissions, at most p_limit of tasks after p_submitted_after, as moves from no state. All of
-- one moment: whatever is answered, what was committed before it is answered too, as far as the
-- ranges go. In no particular order.
--
-- Numbers are drawn before the commit and without holes, because their sequences keep none back for
-- a session. Who follows a log asks for a missing number until tasker.transition_marks says
-- that it will not come.
create or replace function tasker.recent_transitions(
  p_task_from bigint[], p_task_to bigint[], p_step_from bigint[], p_step_to bigint[],
  p_submitted_after uuid, p_limit int
)
returns table (
  transition_no bigint, at timestamptz, task_uuid uuid, namespace text, template text, step_no int,
  step_name text, attempt int, from_state text, to_state text, actor text, reason text, error text
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
  with moved as (
    select t.transition_no, t.at, t.task_uuid, null::int as step_no, null::int as attempt,
      t.from_state::text, t.to_state::text, t.actor, t.reason, null::text as error
    from unnest(p_task_from, p_task_to) as r(first, last)
    join tasker.task_transitions t on t.transition_no between r.first and r.last
    union all
    select s.transition_no, s.at, s.task_uuid, s.step_no, s.attempt,
      s.from_state::text, s.to_state::text, s.actor, s.reason, s.error ->> 'kind'
    from unnest(p_step_from, p_step_to) as r(first, last)
    join tasker.step_transitions s on s.transition_no between r.first and r.last
    union all
    select null, n.created_at, n.task_uuid, null, null, null, 'pending', null, null, null
    from (
      select n.created_at, n.task_uuid from tasker.tasks n
      where n.task_uuid > p_submitted_after
      order by n.task_uuid
      limit p_limit
    ) n
  )
  select m.transition_no, m.at, m.task_uuid, t.namespace,
    t.namespace || '/' || t.name || '@' || t.version, m.step_no, ts.name, m.attempt, m.from_state,
    m.to_state, m.actor, m.reason, m.error
  from moved m
  join tasker.tasks k on k.task_uuid = m.task_uuid
  join tasker.templates t on t.template_id = k.template_id
  left join tasker.template_steps ts on ts.template_id = k.template_id and ts.step_no = m.step_no;
end
$$;
