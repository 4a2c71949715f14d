//! What the database holds, to be compared with what the model says.

use serde_json::{Value, json};
use sqlx::types::Json;
use tasker_shared::ids::{StepId, TaskUuid};

use crate::expected::{Expected, Graph, MAX_ATTEMPTS, RETRY_MS, step_name};
use crate::support::World;

/// What the database holds of a step.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Held {
    pub(crate) task_uuid: TaskUuid,
    pub(crate) step_no: i32,
    task_state: String,
    pub(crate) state: String,
    attempt: i32,
    max_attempts: i32,
    receipt: i32,
    ready: bool,
    due_ms: Option<i64>,
    worker: Option<String>,
    result: Option<Json<Value>>,
}

const HELD: &str = "
    select s.task_uuid, s.step_no, t.state::text as task_state, s.state::text, s.attempt,
      s.max_attempts, s.receipt,
      exists (
        select from tasker.ready_steps r where r.task_uuid = s.task_uuid and r.step_no = s.step_no
      ) as ready,
      (extract(epoch from w.due_at - '2030-01-01 00:00:00+00') * 1000)::bigint as due_ms,
      s.worker, s.result
    from tasker.steps s
    join tasker.tasks t on t.task_uuid = s.task_uuid
    left join tasker.timers w on w.task_uuid = s.task_uuid and w.step_no = s.step_no
    order by s.task_uuid, s.step_no";

impl Held {
    /// Every step there is, in order.
    pub(crate) async fn of(world: &mut World) -> Vec<Self> {
        sqlx::query_as(HELD)
            .fetch_all(&mut world.connection)
            .await
            .unwrap()
    }

    /// What it should be of this step.
    pub(crate) fn expected(expected: &Expected, id: StepId) -> Self {
        let step = expected.step(id).clone();
        Self {
            task_uuid: id.task_uuid,
            step_no: id.step_no,
            task_state: expected.tasks[&id.task_uuid].state.to_string(),
            state: step.state.to_string(),
            attempt: step.attempt,
            max_attempts: step.max_attempts,
            receipt: step.receipt,
            ready: step.ready,
            due_ms: step.due,
            worker: step.worker,
            result: step.result.map(Json),
        }
    }
}

/// Empties the database except for templates, of which it gets one of the graph; answers its name.
pub(crate) async fn empty_but_for(world: &mut World, graph: &Graph) -> String {
    world
        .run(
            "truncate tasker.tasks, tasker.steps, tasker.ready_steps, tasker.timers,
              tasker.task_transitions, tasker.step_log;
            set tasker.now = '2030-01-01 00:00:00+00'",
        )
        .await;
    let number: i64 = world.value("select count(*) from tasker.templates").await;
    let template = format!("graph_{number}");
    let steps = graph.iter().enumerate().map(|(step, parents)| {
        json!({
            "name": step_name(step), "handler": "h",
            "depends_on": parents.iter().map(|p| step_name(*p)).collect::<Vec<_>>(),
            "timeout_ms": 3_600_000,
            "retry": {
                "max_attempts": MAX_ATTEMPTS, "backoff": "fixed", "base_ms": RETRY_MS,
                "jitter": false,
            },
        })
    });
    world
        .apply(json!({
            "namespace": "test", "name": template, "version": "1.0.0",
            "steps": steps.collect::<Vec<_>>(),
        }))
        .await;
    world.run("delete from pgmq.q_worker_test_queue").await;
    template
}
