-- Adds to the counters of tasks, several times to one if need be, and ends those of which nothing
-- can move any more: in `error` when a step failed permanently, else `complete`. Answers those ended.
-- The caller holds the locks of the tasks. In plpgsql because that keeps its plans for the session.
create or replace function tasker.count_active(
  p_task_uuids uuid[], p_active int[], p_failed int[], p_actor text, p_now timestamptz
)
returns uuid[]
language plpgsql
as $$
declare
  v_task_uuids uuid[];
begin
  with change as (
    select c.task_uuid, sum(c.active)::int as active, coalesce(sum(c.failed), 0)::int as failed
    from unnest(p_task_uuids, p_active, p_failed) as c(task_uuid, active, failed)
    group by c.task_uuid
    having sum(c.active) <> 0 or sum(c.failed) <> 0
  ), counted as (
    update tasker.tasks t
    set active_steps = t.active_steps + c.active,
      failed_steps = t.failed_steps + c.failed,
      state = case
        when t.state <> 'in_progress' or t.active_steps + c.active > 0 then t.state
        when t.failed_steps + c.failed > 0 then 'error'
        else 'complete'
      end,
      finished_at = case
        when t.state <> 'in_progress' or t.active_steps + c.active > 0 then t.finished_at
        else p_now
      end
    from change c
    where t.task_uuid = c.task_uuid
    returning t.task_uuid, t.state, t.active_steps
  ), ended as (
    insert into tasker.task_transitions (task_uuid, at, from_state, to_state, actor)
    select task_uuid, p_now, 'in_progress', state, p_actor
    from counted
    where active_steps = 0 and state in ('complete', 'error')
    returning task_uuid
  )
  select coalesce(array_agg(task_uuid), '{}') into v_task_uuids from ended;
  return v_task_uuids;
end
$$;
