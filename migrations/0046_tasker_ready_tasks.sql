-- Tasks that have steps which could be claimed now, with how many, and since when the oldest is.
create view tasker.tasker_ready_tasks as
select
  r.task_uuid, t.namespace, r.priority, count(*)::int as ready_steps, min(r.ready_at) as ready_since
from tasker.ready_steps r
join tasker.templates t on t.template_id = r.template_id
group by r.task_uuid, t.namespace, r.priority;
