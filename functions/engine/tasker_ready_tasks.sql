-- Tasks that have steps which could be claimed now, the most urgent first, with how many, and since
-- when the oldest is: what fallback polling finds, of any age and without a limit.
create or replace view tasker.tasker_ready_tasks as
select r.task_uuid, r.namespace, r.priority, r.ready_steps, r.ready_since
from tasker.find_ready_tasks(0, null) r;
