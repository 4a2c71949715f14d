//! The rows of the engine's tables, to be compared between two databases that had the same history.

use tasker_shared::ids::TaskUuid;

use crate::support::World;

/// All rows, of each task in the order in which they were made, with what differs from run to run left out: UUIDs,
/// times, the numbers of messages, and how values are kept in memory. Tasks are told apart by their place in `tasks`.
pub(crate) async fn all(world: &mut World, tasks: &[TaskUuid]) -> Vec<String> {
    let tasks = tasks.iter().map(|task| task.0).collect::<Vec<_>>();
    sqlx::query_scalar(
        "select format('task %s', row(array_position($1, task_uuid), started_at is null,
           finished_at is null, state, priority, active_steps, failed_steps, context, reason))
         from tasker.tasks
         union all
         select format('step %s', row(array_position($1, task_uuid), step_no, msg_id is null,
           enqueued_at is null, started_at is null, finished_at is null,
           input_bytes - min(input_bytes) over (partition by task_uuid) - (
             select coalesce(sum(p.result_bytes), 0)
             from tasker.template_steps ts
             join tasker.steps p on p.task_uuid = s.task_uuid and p.step_no = any(ts.depends_on)
             where ts.template_id = s.template_id and ts.step_no = s.step_no
           ), state,
           waiting_on, attempt, max_attempts, receipt, result_bytes > 0, worker, result, error))
         from tasker.steps s
         union all
         select format('ready %s', row(row_number() over (partition by task_uuid order by ready_no),
           array_position($1, task_uuid), step_no, priority, cause))
         from tasker.ready_steps
         union all
         select format('timer %s', row(array_position($1, task_uuid), step_no))
         from tasker.timers
         union all
         select format('message %s', row(row_number() over (partition by message -> 'task_uuid' order by msg_id), read_ct,
           vt > clock_timestamp(), message - 'task_uuid',
           array_position($1, (message ->> 'task_uuid')::uuid)))
         from pgmq.q_worker_test_queue
         union all
         select format('move %s', row(row_number() over (partition by task_uuid order by transition_no),
           array_position($1, task_uuid), from_state, to_state, actor, reason))
         from tasker.task_transitions
         union all
         select format('move %s', row(row_number() over (partition by task_uuid order by transition_no, part),
           array_position($1, task_uuid), step_no, attempt, from_state, to_state, actor, reason,
           error))
         from tasker.step_transitions
         order by 1",
    )
    .bind(tasks)
    .fetch_all(&mut world.connection)
    .await
    .unwrap()
}
