-- Announces submitted tasks, on the global channel and their namespaces'. Only those that nobody has
-- touched yet: all their active steps are ready, and a task that was submitted again by its
-- idempotency key is announced again for as long as it may have been overlooked.
create or replace function tasker.announce_submitted_tasks(p_task_uuids uuid[])
returns void
language plpgsql
as $$
begin
  perform tasker.announce_ready_tasks(
    array_agg(t.task_uuid), array_agg(t.active_steps::bigint), null, null, 'task_start'
  )
  from (select distinct u.task_uuid from unnest(p_task_uuids) as u(task_uuid)) s
  join tasker.tasks t on t.task_uuid = s.task_uuid
  where t.state = 'pending'
  having count(*) > 0;
end
$$;
