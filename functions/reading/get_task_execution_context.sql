-- What the states of a task's steps amount to. execution_status is the first that applies of
-- has_ready_steps, processing (enqueued or in progress), waiting (for a retry), blocked_by_failures,
-- all_complete; or cancelled, for a cancelled task of which nothing runs any more.
-- No row for an unknown task.
create or replace function tasker.get_task_execution_context(p_task_uuid uuid)
returns table (
  task_uuid uuid, total_steps int, pending_steps int, ready_steps int, enqueued_steps int,
  in_progress_steps int, waiting_for_retry_steps int, completed_steps int, failed_steps int,
  cancelled_steps int, execution_status text
)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
  return query
  with counted as (
    select t.task_uuid, t.state,
      count(*)::int as total,
      (count(*) filter (where s.state = 'pending'))::int as pending,
      (count(*) filter (where s.state = 'pending' and s.waiting_on = 0))::int as ready,
      (count(*) filter (where s.state = 'enqueued'))::int as enqueued,
      (count(*) filter (where s.state = 'in_progress'))::int as in_progress,
      (count(*) filter (where s.state = 'waiting_for_retry'))::int as waiting,
      (count(*) filter (
        where s.state in ('complete', 'skipped', 'resolved_manually')
      ))::int as completed,
      (count(*) filter (where s.state = 'error'))::int as failed,
      (count(*) filter (where s.state = 'cancelled'))::int as cancelled
    from tasker.tasks t
    join tasker.steps s on s.task_uuid = t.task_uuid
    where t.task_uuid = p_task_uuid
    group by t.task_uuid
  )
  select task_uuid, total, pending, ready, enqueued, in_progress, waiting, completed, failed,
    cancelled,
    case
      when ready > 0 then 'has_ready_steps'
      when enqueued + in_progress > 0 then 'processing'
      when waiting > 0 then 'waiting'
      when state = 'cancelled' then 'cancelled'
      when failed > 0 then 'blocked_by_failures'
      else 'all_complete'
    end
  from counted;
end
$$;
