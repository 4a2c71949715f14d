-- Does the next batch of an act, in the order in which everything locks tasks, and answers the act as it
-- is then; null where another call has it in hand. One that has ended is answered as it is. Raises TK404
-- where there is none.
create or replace function tasker.continue_bulk_act(p_bulk_uuid uuid, p_limit int default 50)
returns jsonb
language plpgsql
set lock_timeout to '100ms'
as $$
declare
  v_act tasker.bulk_acts;
  v_tasks uuid[];
  v_outcomes record;
begin
  if not exists (select from tasker.bulk_acts where bulk_uuid = p_bulk_uuid) then
    raise exception using
      errcode = 'TK404', message = format('there is no bulk act %s', p_bulk_uuid);
  end if;
  select * into v_act from tasker.bulk_acts where bulk_uuid = p_bulk_uuid for update skip locked;
  if not found then
    return null;
  end if;
  if v_act.ended_at is null then
    v_tasks := array(select tasker.matching_tasks(v_act.filter, v_act.position, p_limit));
    select count(*) filter (where o.outcome = 'done') as done,
      count(*) filter (where o.outcome = 'refused') as refused,
      count(*) filter (where o.outcome = 'held') as held,
      max(o.problem) as problem
    into v_outcomes
    from (select unnest(v_tasks) as task_uuid order by task_uuid) t
    cross join lateral tasker.act_on_task(
      t.task_uuid, v_act.action, v_act.filter ->> 'step', v_act.actor,
      concat_ws(': ', 'bulk ' || p_bulk_uuid, v_act.reason)
    ) o;
    update tasker.bulk_acts
    set position = coalesce(v_tasks[cardinality(v_tasks)], position),
      done = done + v_outcomes.done, refused = refused + v_outcomes.refused,
      held = held + v_outcomes.held, problem = coalesce(v_outcomes.problem, problem),
      touched_at = clock_timestamp(),
      ended_at = case when cardinality(v_tasks) < p_limit then clock_timestamp() end
    where bulk_uuid = p_bulk_uuid;
  end if;
  return tasker.bulk_act(p_bulk_uuid);
end
$$;
